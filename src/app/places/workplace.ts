import {createHash} from 'node:crypto';
import {existsSync, readdirSync} from 'node:fs';
import {dirname, join, sep} from 'node:path';
import type {Storage} from '../../collections/index.ts';
import {type DirectoryAddress, describeStore, parseSource, type StoreAddress} from '../../config/index.ts';
import {BkpError, systemCode} from '../../errors/index.ts';
import type {Limits} from '../../ops/index.ts';
import type {Store} from '../../stores/index.ts';
import {directoryPackBytes, headerKey, type KeepRow, openVault, type Vault, type VaultKeys} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {type CopyTarget, encryptionAt} from './encryption.ts';
import {backupMemory} from './known-backups.ts';
import {rememberVault, whyAway} from './known-vaults.ts';

/**
 * Where work is done: which database, which store, with which parameters. The journal stores it with the
 * operation, so that the worker uses the settings of the moment when the statement was given, even if the
 * profile changes later. Contains no secret.
 */
export type Workplace = {
  /** Absolute; absent if the statement needs none or none is set. */
  source?: string;
  /** Which of the profile's two stores `store` is or replaces. */
  storage: Storage;
  store: StoreAddress;
  /** Id of the vault in the store when the statement was given: the worker accepts no other. */
  vault?: string;
  compressionLevel: number;
  compressionThreads: number;
  /** Concurrent requests to an object store; as many packs are uploaded concurrently. */
  requestsAtOnce: number;
  /** How many days object lock protects what is written; absent: not at all. */
  retentionDays?: number;
  /** Initial limits; `operation throttle` may change them. */
  limits: Limits;
};

export type OpenOptions = {
  /** Create the vault if the store has none yet. */
  create: boolean;
  /** Whether a vault that is created is encrypted; default: what the settings say. */
  encrypt?: boolean;
  /** It is only copied from, which is allowed for a vault without encryption too if a password is set. */
  isSource?: boolean;
  /** It is copied to. */
  copy?: CopyTarget;
  /** Aborts running requests. */
  signal?: AbortSignal;
  /** Current limits; default: those of the place. */
  limits?: () => Limits | undefined;
  /** Renews leases even while this thread is blocked; default: this thread renews them. */
  keeper?: {keepRow(store: StoreAddress, keys: VaultKeys | undefined): KeepRow};
};

/**
 * Never creates a vault where one was before or where a disk should be mounted, even with `options.create`.
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
    `${describeStore(place.store)} holds a different vault than when the statement was given`,
    {
      cause: `it was ${place.vault}, it is ${vault.id}`,
      next: 'check which directory, disk or bucket belongs there, then give the statement again',
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
    // Only the header is lost: opening it again reports that as damage.
    return openOrMake(deps, place, options);
  }
}

/** True also for a folder that does not exist. */
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
  let keys: VaultKeys | undefined;
  const encryption = await encryptionAt(deps, place, {
    encrypt: options.encrypt,
    isSource: options.isSource,
    copy: options.copy,
    take: (opened) => {
      keys = opened;
    },
  });
  const {keeper} = options;
  return openVault({
    store,
    encryption,
    backupMemory: backupMemory(deps, place.store),
    create: options.create,
    cacheFile: join(
      deps.home.cacheDir,
      `${createHash('sha256').update(store.description).digest('hex').slice(0, 16)}.db`,
    ),
    compressionLevel: place.compressionLevel,
    compressionThreads: place.compressionThreads,
    ...(keeper === undefined ? {} : {keepLeases: (state, here) => keeper.keepRow(place.store, keys)(state, here)}),
    packs:
      place.store.kind === 's3'
        ? {inMemory: place.requestsAtOnce}
        : // One is written and synced while the other is filled.
          {inMemory: 2, targetBytes: directoryPackBytes},
  });
}

/** A place, and the means to open it. */
export type AtPlace = {deps: Deps; place: Workplace};

/**
 * The vault is always closed again.
 * @param use is also given the place bound to this vault: an operation that starts there refuses any other
 * vault that the store may hold by then Throws as {@link openVaultAt}.
 */
export async function withVault<T>(
  {deps, place}: AtPlace,
  options: Pick<OpenOptions, 'create' | 'isSource' | 'copy'>,
  use: (vault: Vault, bound: Workplace) => Promise<T>,
): Promise<T> {
  const vault = await openVaultAt(deps, place, options);
  try {
    return await use(vault, {...place, vault: vault.id});
  } finally {
    vault.close();
  }
}

/** A vault inside another one would be copied and removed together with it. */
function refuseNested(cluster: string): void {
  if (existsSync(join(cluster, headerKey))) return;
  for (let folder = dirname(cluster); ; folder = dirname(folder)) {
    if (existsSync(join(folder, headerKey))) {
      throw new BkpError('STORE_REFUSED', `the cluster directory ${cluster} is inside another one, ${folder}`, {
        next: `choose a folder outside of it, or use it: --cluster ${folder}`,
      });
    }
    if (folder === dirname(folder)) return;
  }
}

/** The folder is made by whatever creates a vault there; until then, nothing can be opened. */
export const isWithoutFolder = (store: StoreAddress): store is DirectoryAddress =>
  store.kind === 'directory' && !existsSync(store.root);

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
 * The text of the source in use.
 * @throws BkpError `USAGE` when no source is set | `BAD_REQUEST` when it is inside the directory of its backups
 */
export function requireSource({source, store}: Pick<Workplace, 'source' | 'store'>): string {
  if (source === undefined) {
    throw new BkpError('USAGE', 'no source is set: bkp does not know which database to use', {
      next: 'bkp config set source sqlite::path=./app.db (or --source, or BKP_SOURCE)',
    });
  }
  const address = parseSource(source, '/');
  // A server has files that bkp does not see.
  if (address.scheme === 'postgres') return source;
  const path = address.scheme === 'sqlite' ? address.path : address.root;
  if (store.kind === 'directory' && path.startsWith(join(store.root, sep))) {
    throw new BkpError('BAD_REQUEST', `the database ${path} is inside the cluster directory`, {
      cause: `losing ${store.root} would lose the database together with its backups`,
      next: 'keep them apart: choose another place with --cluster or --source',
    });
  }
  return source;
}
