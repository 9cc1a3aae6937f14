import * as v from 'valibot';
import {BkpError} from '../../errors/index.ts';
import {parsed} from '../../lib/schema.ts';
import {type Key, openMemoryStore, type Store} from '../../stores/index.ts';
import {damaged, isDamage} from '../format/damage.ts';
import {noVault, putHeader, readHeader, traceOfVault, writtenHeader} from '../format/header.ts';
import {headerKey} from '../format/key.ts';
import {listKeyObjects, putCopies, putRing, readCopies} from './key-objects.ts';
import {parseRing, ringKey} from './ring.ts';
import {checkedJson, withChecksum} from './sealed-json.ts';
import {isSlotKey, parseSlot, slotsPrefix} from './slot.ts';
import type {Unlocked} from './unlock.ts';

/** The objects below `keys/` that a vault needs, in one file. They are sealed, so it holds no secret. */
const exportSchema = v.object({
  format: v.literal('bkp keys'),
  version: v.literal(1),
  vault: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** ISO time. */
  made: v.string(),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** Texts of the newest ring and of the slots that it names, by their keys. */
  objects: v.record(v.string(), v.string()),
});
export type ExportedKeys = v.InferOutput<typeof exportSchema>;

/**
 * @returns the content of the file, and the keys of slots that are lost in the store
 * @throws BkpError `OBJECT_MISSING` if the ring was replaced meanwhile
 */
export async function exportKeys(
  store: Store,
  {ring}: Unlocked,
  {nowMs}: {nowMs: number},
): Promise<{bytes: Buffer; exported: ExportedKeys; lost: readonly Key[]}> {
  const {vault, generation} = ring.keys;
  const objects: Record<Key, string> = {};
  const lost: Key[] = [];
  for (const key of [ringKey(generation), ...ring.slots.map(({id}) => slotsPrefix + id)]) {
    const found = await readCopies(store, key, (bytes, copy) => parse(bytes, copy, vault)).catch((error: unknown) => {
      if (isDamage(error)) return undefined;
      throw error;
    });
    if (found === undefined) lost.push(key);
    else objects[key] = Buffer.from(found.bytes).toString();
  }
  if (lost.includes(ringKey(generation))) throw changedMeanwhile(store);
  const made = new Date(nowMs).toISOString();
  const exported: ExportedKeys = {format: 'bkp keys', version: 1, vault, made, generation, objects};
  return {bytes: withChecksum(exported), exported, lost};
}

/** @throws BkpError `OBJECT_DAMAGED` as {@link parseRing} and {@link parseSlot} */
const parse = (bytes: Uint8Array, key: Key, vault: string) =>
  key.includes('/rings/') ? parseRing(bytes, key, vault) : parseSlot(bytes, key, vault);

/**
 * @param name of the file, for messages
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function parseExportedKeys(bytes: Uint8Array, name: string): ExportedKeys {
  const wrong = (why: string) => damaged(name, why);
  try {
    const exported = parsed<ExportedKeys>(exportSchema, checkedJson(bytes, name), wrong);
    const {vault, generation, objects} = exported;
    if (objects[ringKey(generation)] === undefined) throw wrong('it has no ring');
    for (const [key, text] of Object.entries(objects)) {
      // Each becomes an object of the store, of which nothing else may be replaced.
      if (key !== ringKey(generation) && !isSlotKey(key)) throw wrong(`it has ${key}`);
      parse(Buffer.from(text), key, vault);
    }
    return exported;
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new BkpError('OBJECT_DAMAGED', `${name} is not an export of keys, or it is damaged`, {
      cause: cause.message,
      next: 'use another copy of the file; bkp vault key export writes one',
    });
  }
}

/** A store with these objects, to open the keys as those of any store. */
export async function storeOf({objects}: ExportedKeys, name: string): Promise<Store> {
  const store = openMemoryStore();
  for (const [key, text] of Object.entries(objects)) await store.put(key, Buffer.from(text));
  return {...store, description: name};
}

export type ImportedKeys = {
  /** Keys of the objects that were written. */
  written: readonly Key[];
  /** The store has a newer ring, which stays. */
  isOlder: boolean;
};

/**
 * Writes what a store has lost of the keys, and its header. What is there and intact stays.
 * @throws BkpError `VAULT_ABSENT` | `STORE_REFUSED` if the store has another vault, another ring of the same number, or
 *   newer ones that are damaged | `BUSY`
 */
export async function importKeys(store: Store, exported: ExportedKeys): Promise<ImportedKeys> {
  const {vault, generation, objects} = exported;
  const written: Key[] = (await bringBackHeader(store, vault)) ? [headerKey] : [];
  const [newest = 0] = (await listKeyObjects(store)).generations;
  const there = newest < generation ? undefined : await intactRing(store, newest, exported);
  // Slots first: a ring whose slots are missing opens for nobody.
  const named = there?.slots.map(({id}) => slotsPrefix + id);
  for (const [key, text] of Object.entries(objects)) {
    const isNamed = named === undefined || named.includes(key);
    if (key.startsWith(slotsPrefix) && isNamed) written.push(...(await putCopies(store, key, Buffer.from(text))));
  }
  const isOlder = newest > generation;
  if (isOlder) return {written, isOlder};
  const key = ringKey(generation);
  const bytes = Buffer.from(objects[key]!);
  // Someone else may be writing a ring of this number now.
  if (newest < generation && (await putRing(store, generation, bytes)) === 'taken') throw changedMeanwhile(store);
  const mended = await putCopies(store, key, bytes);
  return {written: newest < generation ? [...written, key] : [...written, ...mended], isOlder};
}

/** @returns whether it was missing, or damaged */
async function bringBackHeader(store: Store, vault: string): Promise<boolean> {
  const header = await readHeader(store).catch((error: unknown) => {
    if (isDamage(error)) return 'damaged' as const;
    throw error;
  });
  if (header === undefined && (await traceOfVault(store)) === undefined) throw noVault(store);
  if (header === undefined || header === 'damaged') {
    const isWritten = await putHeader(store, {id: vault, encryption: 'bkp-1'}, {replaces: header === 'damaged'});
    await writtenHeader(store);
    return isWritten;
  }
  if (header.id === vault && header.encryption === 'bkp-1') return false;
  const found = header.encryption === 'none' ? `${header.id}, which is not encrypted` : header.id;
  throw new BkpError('STORE_REFUSED', `the keys in the file are those of another vault than the one in the store`, {
    cause: `the file is of vault ${vault}, ${store.description} holds ${found}`,
    next: 'name the store of the file, or the file of the store; nothing was changed',
  });
}

/** @returns the newest ring of the store; undefined if it is the one of the file, or damaged */
async function intactRing(store: Store, newest: number, {vault, generation, objects}: ExportedKeys) {
  const key = ringKey(newest);
  try {
    const found = await readCopies(store, key, (bytes, copy) => parseRing(bytes, copy, vault));
    const own = newest === generation ? parseRing(Buffer.from(objects[key]!), key, vault) : undefined;
    if (own === undefined || found === undefined || found.value.commitment === own.commitment) return found?.value;
    throw otherRingThere(store, generation);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (newest > generation) throw newerDamaged(store, newest, error);
    return undefined;
  }
}

const changedMeanwhile = (store: Store) =>
  new BkpError('BUSY', `the keys of the vault in ${store.description} were changed meanwhile`, {
    next: 'give the command again',
    retryable: true,
  });

const otherRingThere = (store: Store, generation: number) =>
  new BkpError('STORE_REFUSED', `ring ${generation} in ${store.description} is another one than in the file`, {
    cause: 'the file is of a copy of the vault whose keys were changed by themselves',
    next: 'use an export of this store; nothing was changed',
  });

const newerDamaged = (store: Store, newest: number, cause: BkpError) =>
  new BkpError('STORE_REFUSED', `ring ${newest} in ${store.description} is damaged, and the file is older`, {
    cause,
    next: 'import a newer export, or restore the ring from a copy of the store; nothing was changed',
  });
