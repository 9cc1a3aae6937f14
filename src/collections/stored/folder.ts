import {
  goneError,
  lastingReports,
  type Pin,
  type PinObject,
  parsePinKey,
  type ReportFacts,
  readDocument,
  readPins,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {Key} from '../../stores/index.ts';
import {collectionsPrefix, type VaultReader} from '../../vault/index.ts';
import {type Definition, definitionSchema, newestDefinition} from './definition.ts';
import {
  type BackupName,
  collectionPrefix,
  definitionKey,
  isBackupName,
  nameInPrefix,
  parseCollectionKey,
} from './names.ts';

/** How many times a folder is listed again if a cleanup removes its definitions meanwhile. */
const listTries = 5;

/** Everything below one collection's folder. */
export type CollectionFolder = {
  /** From the definition; else from the folder's name, where a very long one is cut. */
  name: string;
  /**
   * The newest generation. Undefined if the collection was never created, its cleanup is complete, or it is
   * damaged or lost.
   */
  newest: Definition | undefined;
  /**
   * Why the newest generation cannot be read, or that it is missing although there are backups. The backups can
   * still be restored: a manifest names everything that it needs.
   */
  damage: BkpError | undefined;
  /** Number of the newest generation, readable or not; 0 if there is none. */
  generation: number;
  /** Numbers of definitions that a CREATE announced: it did not end, or is running. */
  announced: readonly number[];
  /** Backups of the living collection, oldest first, without those of a dropped one. */
  backups: readonly BackupName[];
  /** Names that no new backup may have: of the living collection's backups, and of those that a cleanup will remove. */
  taken: readonly BackupName[];
  /** Pins that were not ended by UNPIN, by their backups; the time of some may be over. */
  pins: ReadonlyMap<BackupName, Pin>;
  /** Everything below `pins/`. */
  pinObjects: readonly PinObject[];
  /**
   * What a cleanup removes, in the order of removal. `drop`: the definition that records the drop, removed last.
   * `creating`: what announces definitions, removed when they are a week old.
   */
  toRemove: {
    manifests: readonly Key[];
    definitions: readonly Key[];
    drop?: Key;
    creating: readonly Key[];
    reports: readonly Key[];
  };
  /** Of its living backups, and those that outlast their backups; oldest backup first. */
  reports: readonly FoundReport[];
};

export type FoundReport = ReportFacts & {key: Key; backup: BackupName};

/**
 * `recent`: find at least the newest backups, at a cost that does not grow with the number of backups. Default: find
 * all.
 */
export type FolderOptions = {recent?: boolean};

/** A collection with a readable definition. The other members are those of `CollectionFolder`. */
export type LiveCollection = Pick<CollectionFolder, 'backups' | 'taken' | 'pins' | 'pinObjects'> & {
  definition: Definition;
};

/** A collection whose backups can be read, even if its definition is damaged. */
export type ReadableCollection = {
  definition: Definition | undefined;
  damage: BkpError | undefined;
} & Pick<CollectionFolder, 'backups' | 'taken' | 'pins' | 'pinObjects'>;

/** @throws BkpError `COLLECTION_NOT_FOUND` | `OBJECT_DAMAGED` */
export async function requireCollection(
  vault: VaultReader,
  name: string,
  options?: FolderOptions,
): Promise<LiveCollection> {
  const {definition, damage, ...folder} = await requireReadable(vault, name, options);
  if (definition !== undefined) return {definition, ...folder};
  if (damage?.code === 'STORE_REFUSED') throw damage;
  const collection = quoteName(name);
  throw new BkpError('OBJECT_DAMAGED', `the definition of collection ${name} cannot be read`, {
    cause: damage,
    next:
      `CREATE BACKUP COLLECTION ${collection} … writes it again; its backups stay, and can be shown, verified ` +
      'and restored without it',
    context: {collection: name},
  });
}

/** @throws BkpError `COLLECTION_NOT_FOUND` | `STORE_REFUSED` if all of it is gone that this machine has seen */
export async function requireReadable(
  vault: VaultReader,
  name: string,
  options?: FolderOptions,
): Promise<ReadableCollection> {
  const folder = await readFolder(vault, name, options);
  const {newest, damage, backups, taken, pins, pinObjects} = folder;
  if (!isLiving(folder)) {
    const [gone] = vault.gone(collectionPrefix(name));
    throw gone === undefined ? noSuchCollection(name) : goneError(vault.location, gone, undefined);
  }
  return {definition: newest, damage, backups, taken, pins, pinObjects};
}

/** True if the vault has this collection, also if its definition is damaged. */
export async function hasCollection(vault: VaultReader, name: string): Promise<boolean> {
  return isLiving(await readFolder(vault, name));
}

/** True for a collection that was created and not dropped, also if its definition is damaged or lost. */
export const isLiving = ({newest, damage}: CollectionFolder) =>
  damage !== undefined || (newest !== undefined && newest.dropped === undefined);

export function readFolder(vault: VaultReader, name: string, options?: FolderOptions): Promise<CollectionFolder> {
  return readFolderAt(vault, collectionPrefix(name), options);
}

/** The folders of all collections, from one listing of the store. */
export async function readAllFolders(vault: VaultReader): Promise<readonly CollectionFolder[]> {
  const listed = new Map<string, Set<Key>>();
  for await (const key of vault.keys(collectionsPrefix)) {
    const prefix = key.slice(0, key.indexOf('/', collectionsPrefix.length) + 1);
    if (parseCollectionKey(key) === undefined && parsePinKey(prefix, key) === undefined) continue;
    if (nameInPrefix(prefix) === undefined) continue;
    const keys = listed.get(prefix) ?? new Set();
    listed.set(prefix, keys.add(key));
  }
  const folders: CollectionFolder[] = [];
  // Sorted: in an encrypted vault, a folder may be there twice, under two spellings of its hidden name.
  for (const [prefix, keys] of listed)
    folders.push((await readFolderFrom(vault, prefix, {listed: [...keys].sort()})).folder);
  return folders;
}

export function noSuchCollection(name: string): BkpError {
  return new BkpError('COLLECTION_NOT_FOUND', `collection /Root/.backups/collections/${name} does not exist`, {
    next: `SHOW BACKUP COLLECTIONS lists the existing ones; CREATE BACKUP COLLECTION ${quoteName(name)} … creates it`,
    context: {collection: name},
  });
}

async function readFolderAt(
  vault: VaultReader,
  prefix: string,
  {recent = false}: FolderOptions = {},
): Promise<CollectionFolder> {
  const last = recent ? vault.lastCommitted(prefix) : undefined;
  // Names sort by time, and before `definition/` and `pins/`: what comes after an old backup is all that is new.
  const found =
    last === undefined ? undefined : await readFolderFrom(vault, prefix, {after: last.slice(0, -'/manifest'.length)});
  // If that backup and all later ones are gone, the newest one is before it.
  return found?.hasManifests ? found.folder : (await readFolderFrom(vault, prefix)).folder;
}

/**
 * @param options.after read only what comes after this key
 * @param options.listed the keys that a listing just found, in their order; absent: it lists the folder
 */
async function readFolderFrom(
  vault: VaultReader,
  prefix: string,
  {after, listed}: {after?: Key; listed?: readonly Key[]} = {},
): Promise<{folder: CollectionFolder; hasManifests: boolean}> {
  for (let left = listTries; ; left--) {
    const generations: Key[] = [];
    const manifests: BackupName[] = [];
    const reports: FoundReport[] = [];
    const pinObjects: PinObject[] = [];
    const creating: {key: Key; generation: number}[] = [];
    const isFirst = left === listTries;
    for await (const key of (isFirst ? listed : undefined) ?? vault.keys(prefix, {after})) {
      const parsed = parseCollectionKey(key);
      if (parsed?.kind === 'definition') generations.push(key);
      if (parsed?.kind === 'creating') creating.push({key, generation: parsed.generation});
      if (parsed?.kind === 'manifest') manifests.push(parsed.backup);
      const pin = parsePinKey(prefix, key);
      if (pin !== undefined && isBackupName(pin.backup)) pinObjects.push(pin);
      if (parsed?.kind === 'report') reports.push({...parsed.report, key, backup: parsed.backup});
    }
    const pins = (await readPins(vault, pinObjects)) as ReadonlyMap<BackupName, Pin>;
    // A backup exists also if only its pin does: another bkp removed its manifest.
    const backups = [...new Set([...manifests, ...pins.keys()])].sort();
    const found = await Promise.all(generations.map((key) => readDefinition(vault, key)));
    const last = found.at(-1);
    // A cleanup may remove older generations meanwhile. If the newest one is gone, or none was listed, the
    // cleanup finished during this read, perhaps between two pages of the listing: list again.
    const isLost = last === undefined && backups.length > 0;
    if ((generations.length > 0 || isLost) && last === undefined && left > 0) continue;
    const damage = last instanceof BkpError ? last : isLost ? definitionLost(prefix) : undefined;
    const newest = last instanceof BkpError ? undefined : last;
    const definitions = found.filter((one): one is Definition => one !== undefined && !(one instanceof BkpError));
    const dropped = new Set(definitions.flatMap(({dropped}) => dropped?.backups ?? []));
    const living = backups.filter((backup) => !dropped.has(backup));
    const isOfLiving = ofLiving(reports, {newest, damage, dropped, living});
    const generation = Number(generations.at(-1)?.slice(-8) ?? 0);
    const folder: CollectionFolder = {
      name: newest?.name ?? nameInPrefix(prefix) ?? prefix,
      newest,
      damage,
      generation,
      announced: creating.map((one) => one.generation),
      backups: living,
      reports: reports.filter(isOfLiving),
      taken: [...new Set([...backups, ...dropped])],
      pins,
      pinObjects,
      toRemove: {
        manifests: manifests.filter((backup) => dropped.has(backup)).map((backup) => `${prefix}${backup}/manifest`),
        // If the newest generation is damaged, the older ones may be the only record of the collection.
        definitions: damage === undefined ? generations.slice(0, -1) : [],
        ...(newest?.dropped === undefined ? {} : {drop: generations.at(-1)!}),
        creating: creating.map(({key}) => key),
        // Other reports go with their backups, which a cleanup may have removed before it ended.
        reports: reports.filter((report) => !isOfLiving(report)).map(({key}) => key),
      },
    };
    return {folder, hasManifests: manifests.length > 0};
  }
}

/** @returns whether a report is of a living backup, or outlasts its own one in a living collection */
function ofLiving(
  reports: readonly FoundReport[],
  of: Pick<CollectionFolder, 'newest' | 'damage'> & {
    dropped: ReadonlySet<BackupName>;
    living: readonly BackupName[];
  },
): (report: FoundReport) => boolean {
  const {newest, damage} = of;
  const living = new Set(of.living);
  const isDropped = damage === undefined && newest?.dropped !== undefined;
  // A collection of the same name may have been dropped before this one was created. A report has whole seconds.
  const sinceMs = newest === undefined ? 0 : Math.floor(Date.parse(newest.createdAt) / 1000) * 1000;
  const own = reports.filter(({backup, atMs}) => living.has(backup) || (!of.dropped.has(backup) && atMs >= sinceMs));
  const lasting = (newest === undefined && damage === undefined) || isDropped ? new Set() : lastingReports(own);
  return (report) => living.has(report.backup) || lasting.has(report);
}

/** A cleanup removes definitions after manifests, so backups without a definition have lost it. */
function definitionLost(prefix: string): BkpError {
  const collection = nameInPrefix(prefix) ?? prefix;
  return new BkpError('OBJECT_MISSING', `the definition of collection ${collection} is missing`, {
    next: `CREATE BACKUP COLLECTION ${quoteName(collection)} … writes it again; its backups stay`,
    context: {collection},
  });
}

/** @returns undefined if it was removed; the error if it is damaged or a newer bkp wrote it */
async function readDefinition(vault: VaultReader, key: Key): Promise<Definition | BkpError | undefined> {
  const found = await readDocument<Definition>(vault, key, {
    version: newestDefinition,
    schema: definitionSchema,
    fault: ({name, generation}) =>
      definitionKey(name, generation) === key ? undefined : `it is generation ${generation} of collection ${name}`,
  });
  return found instanceof BkpError && found.code === 'OBJECT_MISSING' ? undefined : found;
}
