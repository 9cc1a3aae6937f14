import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {dirname, join, sep} from 'node:path';
import {BkpError, systemCode} from '../errors/index.ts';
import type {TableSource} from '../sources/index.ts';
import type {Store} from '../stores/index.ts';
import {headerKey, openVault, type Vault} from '../vault/index.ts';
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
  /** Id of the vault that was there when the statement was given: the worker accepts no other. */
  vault?: string;
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
  if (options.create) refuseNested(place.cluster);
  const store = await openStoreAt(deps, place, options);
  const vault = await openVault({
    store,
    create: options.create,
    cacheFile: join(
      deps.home.cacheDir,
      `${createHash('sha256').update(store.description).digest('hex').slice(0, 16)}.db`,
    ),
    compressionLevel: place.compressionLevel,
    encodesAtOnce: place.compressionThreads + encodesAhead,
  });
  if (place.vault === undefined || place.vault === vault.id) return vault;
  vault.close();
  throw new BkpError('STORE_REFUSED', `${place.cluster} holds another vault than when the statement was given`, {
    cause: `it was ${place.vault}, it is ${vault.id}`,
    next: 'see which directory (or disk) belongs there, then give the statement again',
  });
}

/** A new vault inside an old one would be backed up, copied and removed with it. */
function refuseNested(cluster: string): void {
  if (existsSync(join(cluster, headerKey))) return;
  for (let folder = dirname(cluster); ; folder = dirname(folder)) {
    if (existsSync(join(folder, headerKey))) {
      throw new BkpError('STORE_REFUSED', `the cluster directory ${cluster} lies inside another one, ${folder}`, {
        next: `choose a folder outside of it, or use it: --cluster ${folder}`,
      });
    }
    if (folder === dirname(folder)) return;
  }
}

async function openStoreAt(deps: Deps, {cluster}: Workplace, options: {create: boolean}): Promise<Store> {
  try {
    return await deps.openStore(cluster, options);
  } catch (error) {
    if (options.create || systemCode((error as Error).cause) !== 'ENOENT') throw error;
    throw new BkpError('STORE_UNAVAILABLE', `there is no cluster directory ${cluster}`, {
      next: 'if it should be there: is its disk mounted? The first CREATE BACKUP COLLECTION … makes one',
    });
  }
}

/** @throws BkpError `USAGE` when no source is set | `BAD_REQUEST` when it lies among its own backups */
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
  const address = parseSource(place.source, '/');
  if (address.path.startsWith(join(place.cluster, sep))) {
    throw new BkpError('BAD_REQUEST', `the database ${address.path} lies inside the cluster directory`, {
      cause: `who loses ${place.cluster} loses the database and its backups at once`,
      next: 'keep the two apart: --cluster or --source names another place',
    });
  }
  return openSource(address);
}

/** The source is closed again, whatever happens. Throws as {@link openSourceAt}. */
export async function withSource<T>(place: Workplace, use: (source: TableSource) => Promise<T>): Promise<T> {
  const source = await openSourceAt(place);
  try {
    return await use(source);
  } finally {
    source.close();
  }
}
