import {hasCollection, type Storage} from '../../collections/index.ts';
import {
  chosenStorage,
  describeStore,
  exposures,
  parseStore,
  type Settings,
  type StoreAddress,
  sameStore,
} from '../../config/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {whyAway} from './known-vaults.ts';
import {isWithoutFolder, openVaultAt, type Workplace} from './workplace.ts';

/**
 * The stores that a command uses, in the order in which they are searched for collections: the cluster
 * directory, then the object store; only one of them if `--store` is given.
 */
export async function placesOf(deps: Deps): Promise<readonly [Workplace, ...Workplace[]]> {
  const settings = await deps.settings();
  await warnOfExposures(deps);
  const chosen = chosenStorage(deps.flags);
  if (chosen === 'cluster') return [placeAt(settings, clusterOf(settings))];
  if (chosen === 's3') return [placeAt(settings, objectStoreOf(settings), 's3')];
  const cluster = placeAt(settings, clusterOf(settings));
  return settings.objectStore === undefined ? [cluster] : [cluster, placeAt(settings, objectStoreOf(settings), 's3')];
}

const warned = new WeakSet<Deps>();

/** Each command warns once about keys that other users can read, and continues. */
async function warnOfExposures(deps: Deps): Promise<void> {
  if (warned.has(deps)) return;
  warned.add(deps);
  for (const text of await exposures(deps)) deps.warn(text);
}

const clusterOf = ({cluster}: Settings): StoreAddress => ({kind: 'directory', root: cluster});

function objectStoreOf({objectStore}: Settings): StoreAddress {
  if (objectStore !== undefined) return objectStore.address;
  throw new BkpError('USAGE', 'no object store is set (backup.object.store)', {
    next:
      "bkp config set backup.object.store 's3::bucket=…;region=…;' (or --store, BKP_STORE, BKP_STORE_FILE); " +
      "'fs::root=DIR' is a directory",
  });
}

function placeAt(settings: Settings, store: StoreAddress, storage: Storage = 'cluster'): Workplace {
  const {source, compressionLevel, compressionThreads, requestsAtOnce, lockDays} = settings;
  const {limitUpload, limitDownload} = settings;
  return {
    ...(source === undefined ? {} : {source}),
    storage,
    store,
    compressionLevel,
    compressionThreads,
    requestsAtOnce,
    ...(lockDays === undefined || store.kind === 'directory' ? {} : {retentionDays: lockDays}),
    limits: {
      ...(limitUpload === undefined ? {} : {uploadBytesPerSecond: limitUpload}),
      ...(limitDownload === undefined ? {} : {downloadBytesPerSecond: limitDownload}),
    },
  };
}

/**
 * The object store, which holds the backups of whole databases.
 * @throws BkpError `USAGE` if `backup.object.store` is not set
 */
export async function objectPlace(deps: Deps): Promise<Workplace> {
  const settings = await deps.settings();
  await warnOfExposures(deps);
  return placeAt(settings, objectStoreOf(settings), 's3');
}

/**
 * The first store that has the collection. The last store is not checked: the statement itself reports a
 * missing collection, and each request to a server costs.
 *
 * A store that is unavailable may have the collection. Then the next store is used, with a warning: a backup
 * there is better than none. Statements that define or drop a collection are refused, because both stores would
 * need the change.
 * @param options.defines whether the statement defines or drops the collection
 * @param options.isSource whether it is only copied from
 * @throws BkpError `STORE_UNAVAILABLE`
 */
export async function placeOfCollection(
  deps: Deps,
  collection: string,
  {defines, isSource = false}: {defines: boolean; isSource?: boolean},
): Promise<Workplace> {
  const places = await placesOf(deps);
  let away: BkpError | undefined;
  for (const place of places) {
    if (place === places.at(-1) && away === undefined) return place;
    try {
      const found = await withVaultIfAny(deps, place, (vault) => hasCollection(vault, collection), {isSource});
      if (found !== true) continue;
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'STORE_UNAVAILABLE' || away !== undefined) throw error;
      away = error;
      if (defines) break;
      continue;
    }
    if (away !== undefined) {
      deps.warn(`${away.message}; ${collection} is used in ${describeStore(place.store)}`);
    }
    return place;
  }
  throw away ?? new Error('the list of stores is empty');
}

/**
 * The store in which `CREATE … WITH (STORAGE=…)` creates the collection.
 * @throws BkpError `COLLECTION_EXISTS` when the profile's other store has a collection of that name: a
 * statement could not tell them apart
 */
export async function placeForNew(deps: Deps, storage: Storage, collection: string): Promise<Workplace> {
  const places = await placesOf(deps);
  const wanted = places.find((place) => place.storage === storage);
  if (wanted === undefined) {
    const [only] = places;
    // Only the object store can be missing when no store was chosen.
    if (chosenStorage(deps.flags) === undefined) objectStoreOf(await deps.settings());
    throw new BkpError('BAD_REQUEST', `STORAGE='${storage}' and --store contradict each other`, {
      cause: `--store names ${describeStore(only.store)}, which is '${only.storage}'`,
      next: `write STORAGE='${only.storage}', or leave out --store`,
    });
  }
  for (const other of places) {
    if (other === wanted) continue;
    const taken = await withVaultIfAny(deps, other, (vault) => hasCollection(vault, collection));
    if (taken !== true) continue;
    throw new BkpError('COLLECTION_EXISTS', `path exist: collection /Root/.backups/collections/${collection}`, {
      cause: `it is in ${describeStore(other.store)}`,
      next: `choose another name; COPY BACKUP COLLECTION … TO '${storage}' copies its backups`,
    });
  }
  return wanted;
}

/** `TO 's3'`, `TO 'cluster'`, or the address of any other store. */
export async function placeNamed(deps: Deps, target: string): Promise<Workplace> {
  const settings = await deps.settings();
  const word = target.toLowerCase();
  if (word === 'cluster') return placeAt(settings, clusterOf(settings));
  if (word === 's3') return placeAt(settings, objectStoreOf(settings), 's3');
  const {address, credentials} = parseStore(target, deps.cwd);
  if (credentials !== undefined) {
    // The journal stores the statement's text.
    throw new BkpError('BAD_REQUEST', 'a statement must not contain keys', {
      next:
        'put them into BKP_STORE_FILE, the profile, or where the AWS tools find them; the statement takes ' +
        'only the address',
    });
  }
  return placeAt(settings, address, address.kind === 'directory' ? 'cluster' : 's3');
}

/** Whether the profile's settings speak about the store of a statement's target. */
export async function isOwnStore(deps: Deps, {store}: Workplace): Promise<boolean> {
  const settings = await deps.settings();
  const {objectStore} = settings;
  return sameStore(store, clusterOf(settings)) || (objectStore !== undefined && sameStore(store, objectStore.address));
}

/**
 * @returns undefined if there is no vault, or no directory that could hold one
 * @throws BkpError `STORE_UNAVAILABLE` when the store held a vault before, or its disk is not mounted
 */
export async function withVaultIfAny<T>(
  deps: Deps,
  place: Workplace,
  use: (vault: Vault) => Promise<T>,
  {isSource = false}: {isSource?: boolean} = {},
): Promise<T | undefined> {
  if (isWithoutFolder(place.store)) {
    const away = whyAway(deps, place.store);
    if (away !== undefined) throw away;
    return undefined;
  }
  let vault: Vault;
  try {
    vault = await openVaultAt(deps, place, {create: false, isSource});
  } catch (error) {
    if (error instanceof BkpError && error.code === 'VAULT_ABSENT') return undefined;
    throw error;
  }
  try {
    return await use(vault);
  } finally {
    vault.close();
  }
}
