import {createHash} from 'node:crypto';
import {join} from 'node:path';
import {BkpError} from '../errors/index.ts';
import type {TableSource} from '../sources/index.ts';
import type {Vault} from '../vault/index.ts';
import type {Deps} from './deps.ts';

/**
 * Where work is done: which database, which store, how. Goes with an operation into the journal, so that a worker does
 * what was meant when the statement was typed, whatever the profile says later. Never holds a secret.
 */
export type Workplace = {
  /** Absolute; absent when the statement needs none or none is set. */
  source?: string;
  /** Absolute path of the cluster directory. */
  cluster: string;
  compressionLevel: number;
  compressionThreads: number;
};

/** So that a thread of the pool finds its next chunk ready when it has done one. */
const encodesAhead = 2;

export async function workplaceOf(deps: Deps): Promise<Workplace> {
  const {source, cluster, compressionLevel, compressionThreads} = await deps.settings();
  return {...(source === undefined ? {} : {source}), cluster, compressionLevel, compressionThreads};
}

/**
 * @param options.create make the vault when the cluster directory has none yet
 * @throws BkpError `STORE_REFUSED` | `STORE_UNAVAILABLE` | `OBJECT_DAMAGED`
 */
export async function openVaultAt(deps: Deps, place: Workplace, options: {create: boolean}): Promise<Vault> {
  const [store, {openVault}] = await Promise.all([deps.openStore(place.cluster, options), import('../vault/index.ts')]);
  return openVault({
    store,
    create: options.create,
    cacheFile: join(
      deps.home.cacheDir,
      `${createHash('sha256').update(store.description).digest('hex').slice(0, 16)}.db`,
    ),
    compressionLevel: place.compressionLevel,
    encodesAtOnce: place.compressionThreads + encodesAhead,
  });
}

/** @throws BkpError `USAGE` when no source is set */
export async function openSourceAt(place: Workplace): Promise<TableSource> {
  if (place.source === undefined) {
    throw new BkpError('USAGE', 'no source is set: bkp does not know which database is meant', {
      next: 'bkp config set source sqlite::path=./app.db (or --source, or BKP_SOURCE)',
    });
  }
  const [{parseSource}, {openSource}] = await Promise.all([
    import('../config/index.ts'),
    import('../sources/index.ts'),
  ]);
  return openSource(parseSource(place.source, '/'));
}
