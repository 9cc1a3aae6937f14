import {BkpError} from '../errors/index.ts';
import {quoteName} from '../sql/index.ts';
import type {Key} from '../stores/index.ts';
import type {JsonValue, VaultReader} from '../vault/index.ts';
import type {Definition} from './definition.ts';
import {type BackupName, collectionPrefix, collectionsPrefix, parseCollectionKey} from './names.ts';

/** How often a folder is listed again when a cleanup removes its definitions under our eyes. */
const listTries = 5;

/** Everything that lies below one collection's folder. */
export type CollectionFolder = {
  prefix: string;
  /** The newest generation; undefined when nobody ever created it or its cleanup is through. */
  newest: Definition | undefined;
  /** Backups of the living collection, oldest first; those of a dropped one are left out. */
  backups: readonly BackupName[];
  /** What a cleanup removes, in the order in which it must go. */
  condemned: {manifests: readonly Key[]; definitions: readonly Key[]};
};

/** A collection that is there to work with. */
export type LiveCollection = {definition: Definition; backups: readonly BackupName[]};

/** @throws BkpError `COLLECTION_NOT_FOUND` */
export async function requireCollection(vault: VaultReader, name: string): Promise<LiveCollection> {
  const {newest, backups} = await readFolder(vault, name);
  if (newest === undefined || newest.dropped !== undefined) throw noSuchCollection(name);
  return {definition: newest, backups};
}

export function readFolder(vault: VaultReader, name: string): Promise<CollectionFolder> {
  return readFolderAt(vault, collectionPrefix(name));
}

/** Every collection's folder, by one listing of the store. */
export async function readAllFolders(vault: VaultReader): Promise<readonly CollectionFolder[]> {
  const prefixes = new Set<string>();
  for await (const key of vault.keys(collectionsPrefix)) {
    if (parseCollectionKey(key) !== undefined)
      prefixes.add(key.slice(0, key.indexOf('/', collectionsPrefix.length) + 1));
  }
  const folders: CollectionFolder[] = [];
  for (const prefix of prefixes) folders.push(await readFolderAt(vault, prefix));
  return folders;
}

export function noSuchCollection(name: string): BkpError {
  return new BkpError('COLLECTION_NOT_FOUND', `collection /Root/.backups/collections/${name} does not exist`, {
    next: `SHOW BACKUP COLLECTIONS lists those that do; CREATE BACKUP COLLECTION ${quoteName(name)} … makes it`,
    context: {collection: name},
  });
}

async function readFolderAt(vault: VaultReader, prefix: string): Promise<CollectionFolder> {
  for (let left = listTries; ; left--) {
    const generations: Key[] = [];
    const backups: BackupName[] = [];
    for await (const key of vault.keys(prefix)) {
      const parsed = parseCollectionKey(key);
      if (parsed?.kind === 'definition') generations.push(key);
      if (parsed?.kind === 'manifest') backups.push(parsed.backup);
    }
    const definitions = await Promise.all(generations.map((key) => readDefinition(vault, key)));
    const newest = definitions.at(-1);
    // Older generations may go while we read; when the newest went, a cleanup was through and we look again.
    if (generations.length > 0 && newest === undefined && left > 0) continue;
    const dropped = new Set(definitions.flatMap((definition) => definition?.dropped?.backups ?? []));
    return {
      prefix,
      newest,
      backups: backups.filter((backup) => !dropped.has(backup)),
      condemned: {
        manifests: backups.filter((backup) => dropped.has(backup)).map((backup) => `${prefix}${backup}/manifest`),
        definitions: newest?.dropped === undefined ? generations.slice(0, -1) : generations,
      },
    };
  }
}

async function readDefinition(vault: VaultReader, key: Key): Promise<Definition | undefined> {
  let document: JsonValue;
  try {
    document = await vault.document(key);
  } catch (error) {
    if (error instanceof BkpError && error.code === 'OBJECT_MISSING') return undefined;
    throw error;
  }
  const definition = document as unknown as Definition;
  if (definition?.version === 1) return definition;
  throw new BkpError('STORE_REFUSED', `the definition ${key} has a version that this bkp does not know`, {
    next: 'use the newer bkp that wrote it',
  });
}
