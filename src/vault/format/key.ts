import type {Key, StoreLayout} from '../../stores/index.ts';
import type {PackId} from '../types.ts';
import {isId} from './hash.ts';

/** BLAKE3-256 of an index's bytes, 64 hex digits. */
export type IndexId = string & {readonly brand: 'IndexId'};

export const headerKey: Key = 'bkp.json';
/** The keys of an encrypted vault, sealed. */
export const keysPrefix = 'keys/';
export const packsPrefix = 'packs/';
export const indexPrefix = 'index/';
export const locksPrefix = 'locks/';
export const damagedPrefix = 'damaged/';
/** Sorts after `locks/` and `packs/`, as the order of a listing requires. */
export const removalsPrefix = 'removals/';
/** Which manifests a re-encryption is about to put again. */
export const resealsPrefix = 'reseals/';
/** What verifications have read intact. */
export const verifiedPrefix = 'verified/';
/** Prefixes of manifests and documents; a key that ends in `/manifest` is a manifest. */
export const manifestPrefixes = ['.backups/', 'backup/'] as const;
/** Everything below the first of {@link manifestPrefixes} is below this one. */
export const collectionsPrefix = '.backups/collections/';

export const packKey = (pack: PackId): Key => `${packsPrefix}${pack.slice(0, 2)}/${pack}`;
export const indexKey = (index: IndexId): Key => `${indexPrefix}${index}`;

export const damagedPackKey = (pack: PackId): Key => damagedPrefix + pack;

export const isManifestKey = (key: Key) => key.endsWith('/manifest') && isNamedKey(key);
/** True for manifests and documents, the objects whose keys contain names that users chose. */
export const isNamedKey = (key: Key) => manifestPrefixes.some((prefix) => key.startsWith(prefix));

/** @returns undefined for an object below `packs/` that is not a pack */
export function packOfKey(key: Key): PackId | undefined {
  const id = key.slice(key.lastIndexOf('/') + 1);
  return isId(id) && key === packKey(id as PackId) ? (id as PackId) : undefined;
}

export function damagedPackOfKey(key: Key): PackId | undefined {
  const id = key.slice(damagedPrefix.length);
  return isId(id) && key.startsWith(damagedPrefix) ? (id as PackId) : undefined;
}

export function indexOfKey(key: Key): IndexId | undefined {
  const id = key.slice(indexPrefix.length);
  return isId(id) && key.startsWith(indexPrefix) ? (id as IndexId) : undefined;
}

// The layout is that of stored keys, in which names of users may be encrypted, and take two parts.

const folders = [
  /^(\.backups(\/collections)?|backup|packs|index|damaged|removals|reseals|verified|locks)$/,
  /^keys(\/spare)?(\/rings|\/slots)?$/,
];
const ofPacks = /^packs\/[0-9a-f]{2}$/;
const ofBackup = /^(\.backups\/collections|backup)\/.+\/(\d{14}Z_(full|incremental)|\d{8}T\d{6}\.\d{6}Z)$/;

/** In the folders of an encrypted vault's backups; some have the name of a backup, and are none. */
const ofNewest = /^(\.backups\/collections|backup)\/[^/]+\/(.+\/)?(newest|removed)\/[^/]+$/;

const below = 'manifest|unpinned|(definition|creating|pending|verdict|reports)/[^/]+';

const objects = [
  /^bkp\.json$/,
  /^keys\/(spare\/)?(rings|slots)\/[^/]+$/,
  /^packs\/[0-9a-f]{2}\/[0-9a-f]{64}$/,
  /^(index|damaged|removals|reseals|verified)\/[^/]+$/,
  /^locks\/[^/]+\/[^/]+$/,
  /^backup\/[^/]+\/instance$/,
  new RegExp(`^(\\.backups/collections|backup)/[^/]+/(.+/)?(${below})$`),
  ofNewest,
];

/** Which keys of a vault belong to objects, and which to folders. docs/format.md lists them. */
export const vaultLayout: StoreLayout = {
  isObject: (key) => objects.some((pattern) => pattern.test(key)),
  isFolder: (key) => folders.some((pattern) => pattern.test(key)),
  objectsIn(folder) {
    if (ofBackup.test(folder) && !ofNewest.test(folder)) return [`${folder}/manifest`];
    // No list of them is needed: a pack that is not listed is taken as missing.
    return ofPacks.test(folder) ? [] : undefined;
  },
};
