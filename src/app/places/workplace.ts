import {createHash} from 'node:crypto';
import {existsSync, readdirSync} from 'node:fs';
import {dirname, join, sep} from 'node:path';
import type {Storage} from '../../collections/index.ts';
import {describeStore, parseSource, type StoreAddress} from '../../config/index.ts';
import {BkpError, systemCode} from '../../errors/index.ts';
import type {Limits} from '../../ops/index.ts';
import type {TableSource} from '../../sources/index.ts';
import type {Store} from '../../stores/index.ts';
import {headerKey, type KeepRow, openVault, type Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {rememberVault, whyAway} from './known-vaults.ts';

/**
 * Where work is done: which database, which store, how. Goes with an operation into the journal, so that a worker does
 * what was meant when the statement was typed, whatever the profile says later. Never holds a secret.
 */
export type Workplace = {
  /** Absolute; absent when the statement needs none or none is set. */
  source?: string;
  /** Which of the profile's two stores `store` is, or stands in for. */
  storage: Storage;
  store: StoreAddress;
  /** Id of the vault that was there when the statement was given: the worker accepts no other. */
  vault?: string;
  compressionLevel: number;
  compressionThreads: number;
  /** Of an object store's server; as many packs are on their way at once. */
  requestsAtOnce: number;
  /** How long an object store keeps what is written from being removed; absent: it does not. */
  retentionDays?: number;
  /** What the operation began with; a throttle may change them. */
  limits: Limits;
};

export type OpenOptions = {
  /** Make the vault when the store has none yet. */
  create: boolean;
  /** Ends requests that are on their way. */
  signal?: AbortSignal;
  /** What holds now; default: what the place says. */
  limits?: () => Limits | undefined;
  /** Renews leases whatever this thread does; default: this thread. */
  keeper?: {keepRow(store: StoreAddress): KeepRow};
};

/**
 * Where a vault was, or where a disk is to be mounted, none is made, whatever `options.create` says.
 * @throws BkpError `STORE_REFUSED` | `STORE_UNAVAILABLE` | `STORE_DENIED` | `VAULT_ABSENT` | `OBJECT_DAMAGED`
 */
export async function openVaultAt(deps: Deps, place: Workplace, options: OpenOptions): Promise<Vault> {
  const away = whyAway(deps, place.store);
  const vault = await (away === undefined ? openOrMake(deps, place, options) : openKnown(deps, place, {options, away}));
  rememberVault(deps.home, place.store, vault.id);
  if (place.vault === undefined || place.vault === vault.id) return vault;
  vault.close();
  throw new BkpError(
    'STORE_REFUSED',
    `${describeStore(place.store)} holds another vault than when the statement was given`,
    {
      cause: `it was ${place.vault}, it is ${vault.id}`,
      next: 'see which directory, disk or bucket belongs there, then give the statement again',
    },
  );
}

async function openKnown(
  deps: Deps,
  place: Workplace,
  {options, away}: {options: OpenOptions; away: BkpError},
): Promise<Vault> {
  try {
    return await openOrMake(deps, place, {...options, create: false});
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    const {store} = place;
    if (store.kind === 'directory' && isEmptyFolder(store.root)) throw away;
    if (error.code !== 'VAULT_ABSENT') throw error;
    if (store.kind === 's3') throw away;
    // Only its header is lost: that is damage, which is told in other words.
    return openOrMake(deps, place, options);
  }
}

/** Also when there is none. */
function isEmptyFolder(folder: string): boolean {
  try {
    return readdirSync(folder).every(
      (name) => name === 'lost+found' || name === '.DS_Store' || name.startsWith('.bkp#'),
    );
  } catch (error) {
    return systemCode(error) === 'ENOENT';
  }
}

async function openOrMake(deps: Deps, place: Workplace, options: OpenOptions): Promise<Vault> {
  if (options.create && place.store.kind === 'directory') refuseNested(place.store.root);
  const store = await openStoreAt(deps, place, options);
  return openVault({
    store,
    create: options.create,
    cacheFile: join(
      deps.home.cacheDir,
      `${createHash('sha256').update(store.description).digest('hex').slice(0, 16)}.db`,
    ),
    compressionLevel: place.compressionLevel,
    compressionThreads: place.compressionThreads,
    // A disk is as busy with two packs as with four; a server far away is not.
    ...(options.keeper === undefined ? {} : {keepLeases: options.keeper.keepRow(place.store)}),
    ...(place.store.kind === 's3' ? {uploadsAtOnce: place.requestsAtOnce} : {}),
  });
}

/** A place, and the means to open it. */
export type AtPlace = {deps: Deps; place: Workplace};

/**
 * The vault is always closed again.
 * @param use is also given the place bound to this vault: an operation that starts there refuses any other vault that the
 * store may hold by then
 * Throws as {@link openVaultAt}.
 */
export async function withVault<T>(
  {deps, place}: AtPlace,
  options: {create: boolean},
  use: (vault: Vault, bound: Workplace) => Promise<T>,
): Promise<T> {
  const vault = await openVaultAt(deps, place, options);
  try {
    return await use(vault, {...place, vault: vault.id});
  } finally {
    vault.close();
  }
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

export async function openStoreAt(deps: Deps, place: Workplace, options: OpenOptions): Promise<Store> {
  const {store, requestsAtOnce, retentionDays} = place;
  try {
    return await deps.openStore(store, {
      create: options.create,
      requestsAtOnce,
      limits: () => options.limits?.() ?? place.limits,
      ...(retentionDays === undefined ? {} : {lockDays: retentionDays}),
      ...(options.signal === undefined ? {} : {signal: options.signal}),
    });
  } catch (error) {
    if (store.kind !== 'directory' || options.create || systemCode((error as Error).cause) !== 'ENOENT') throw error;
    throw new BkpError('STORE_UNAVAILABLE', `there is no cluster directory ${store.root}`, {
      next: 'if it should be there: is its disk mounted? The first CREATE BACKUP COLLECTION … makes one',
    });
  }
}

/**
 * The text of the source that is meant.
 * @throws BkpError `USAGE` when no source is set | `BAD_REQUEST` when it lies among its own backups
 */
export function requireSource({source, store}: Pick<Workplace, 'source' | 'store'>): string {
  if (source === undefined) {
    throw new BkpError('USAGE', 'no source is set: bkp does not know which database is meant', {
      next: 'bkp config set source sqlite::path=./app.db (or --source, or BKP_SOURCE)',
    });
  }
  const address = parseSource(source, '/');
  const path = address.scheme === 'sqlite' ? address.path : address.root;
  if (store.kind === 'directory' && path.startsWith(join(store.root, sep))) {
    throw new BkpError('BAD_REQUEST', `the database ${path} lies inside the cluster directory`, {
      cause: `who loses ${store.root} loses the database and its backups at once`,
      next: 'keep the two apart: --cluster or --source names another place',
    });
  }
  return source;
}

/** Throws as {@link requireSource}. */
export async function openSourceAt(place: Pick<Workplace, 'source' | 'store'>): Promise<TableSource> {
  const source = requireSource(place);
  const {openSource} = await import('../../sources/index.ts');
  return openSource(parseSource(source, '/'));
}

/** The source is closed again, whatever happens. Throws as {@link openSourceAt}. */
export async function withSource<T>(
  place: Pick<Workplace, 'source' | 'store'>,
  use: (source: TableSource) => Promise<T>,
): Promise<T> {
  const source = await openSourceAt(place);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
