import {forEachConcurrent} from '../../lib/async.ts';
import type {Clock} from '../../lib/clock.ts';
import {type Key, notKept, removeIfAllowed, type Store} from '../../stores/index.ts';
import {damaged, isDamage, unlessDamaged} from '../format/damage.ts';
import type {Entry, PackListing} from '../format/entry.ts';
import {hashHex} from '../format/hash.ts';
import {readIndex, writeIndexes} from '../format/index-object.ts';
import {type IndexId, indexKey, packKey} from '../format/key.ts';
import {packTargetBytes} from '../format/limits.ts';
import {readPackTable} from '../format/pack.ts';
import {CacheFile} from '../indexes/cache-file.ts';
import {ChunkIndex} from '../indexes/chunk-index.ts';
import {type Listing, listVault, type PacksInStore} from '../indexes/listing.ts';
import {noteRemoval, readRemovals} from '../indexes/removals.ts';
import type {Lease} from '../lease/lease.ts';
import {leasePrefix} from '../lease/objects.ts';
import {StoredLedger} from '../ledger/stored-ledger.ts';
import type {ChunkId, PackId} from '../types.ts';
import {PackWriter} from './pack-writer.ts';

/**
 * Packs of less than this are merged once there are this many. Each costs a request or a system call whenever the store
 * is listed, and backups with few changes write one each. What is merged is small again, until it has this size.
 */
const smallBelowBytes = 1024 * 1024;
export const smallAtLeast = 64;

/** One merge holds as many bytes in memory: the smallest packs first, the others next time. */
const mostBytes = packTargetBytes;

const readsAtOnce = 6;

export const isSmall = (lengthBytes: number) => lengthBytes < smallBelowBytes;

export function hasManySmall(packs: PacksInStore): boolean {
  let count = 0;
  for (const {lengthBytes} of packs.values()) if (isSmall(lengthBytes)) count += 1;
  return count >= smallAtLeast;
}

export type MergeDeps = {store: Store; lease: Lease; randomId: () => string; clock: Pick<Clock, 'wallMs'>};

/** A pack whose bytes have the hash that is its name. */
type ReadPack = {bytes: Uint8Array; entries: readonly Entry[]};

/**
 * Merges small packs, if there are many, under the collector's lease. Everything in them is kept, needed or not, so no
 * manifest is read, and the cost does not grow with the backups. The order of writes is that of a cleanup: new packs,
 * new indexes, a note of removals, old indexes, old packs, the note.
 * @returns the number of packs that were merged; 0 also if these credentials may not remove objects, and if only a
 *   cleanup can say what is needed: an index or a note is damaged, or a cleanup that did not end removes larger packs
 */
export async function mergeSmall(deps: MergeDeps): Promise<number> {
  const {store, lease, randomId} = deps;
  if (store.retain !== undefined) return 0;
  const listing = await lease.confirmBy(() => listVault(store));
  const chosen = choose(listing);
  const noted = await readRemovals(store, listing.removals);
  if (chosen.length === 0 || noted === undefined || noted.fault !== undefined) return 0;
  const isLarge = (pack: PackId) => !isSmall(listing.packs.get(pack)?.lengthBytes ?? 0);
  if ([...noted.packs.values()].flat().some(isLarge)) return 0;
  // Before anything is written: packs that cannot be removed would be merged again after each backup.
  if (!(await removeIfAllowed(store, [`${leasePrefix(lease.id)}probe`]))) return 0;
  const indexes = await readIndexes(store, listing);
  const packs = await readPacks(deps, chosen, listing);
  if (indexes === undefined || packs.size < 2) return 0;
  const merged = await writeMerged(deps, packs, listing);
  const obsolete = [...indexes].filter(([, listed]) => listed.some(({id}) => packs.has(id)));
  const stay = obsolete.flatMap(([, listed]) => listed).filter(({id}) => !packs.has(id) && listing.packs.has(id));
  const distinct = new Map(stay.map((pack) => [pack.id, pack]));
  const replaced = await writeIndexes(store, distinct.values(), randomId);
  const written = await lease.confirmBy(() => listVault(store));
  const lost = [...merged, ...replaced].find((id) => !written.indexes.has(id));
  if (lost !== undefined) throw notKept(indexKey(lost));
  const notes = await noteRemoval(store, [...packs.keys()], randomId);
  await lease.confirm();
  await store.delete(obsolete.map(([id]) => indexKey(id)));
  await lease.confirm();
  await store.delete([...packs.keys()].map(packKey));
  const left = await lease.confirmBy(() => listVault(store));
  const ended = [...noted.packs, ...notes.map((key) => [key, [...packs.keys()]] as const)]
    .filter(([, named]) => named.every((pack) => !left.packs.has(pack)))
    .map(([key]) => key);
  await removeIfAllowed(store, ended);
  return packs.size;
}

function choose({packs, damaged: found}: Listing): readonly PackId[] {
  if (!hasManySmall(packs)) return [];
  const small = [...packs].filter(([pack, {lengthBytes}]) => isSmall(lengthBytes) && !found.has(pack));
  small.sort(([, a], [, b]) => a.lengthBytes - b.lengthBytes);
  let bytes = 0;
  return small.flatMap(([pack, {lengthBytes}]) => {
    bytes += lengthBytes;
    return bytes <= mostBytes ? [pack] : [];
  });
}

/** @returns undefined if one is damaged, or was replaced meanwhile */
async function readIndexes(store: Store, {indexes}: Listing): Promise<Map<IndexId, PackListing[]> | undefined> {
  const read = new Map<IndexId, PackListing[]>();
  try {
    await forEachConcurrent(indexes, readsAtOnce, async (id) => {
      read.set(id, await readIndex(store, id));
    });
    return read;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** @returns those that are intact, the smallest first; a damaged pack stays as it is, for VERIFY */
async function readPacks(
  {store, lease}: MergeDeps,
  chosen: readonly PackId[],
  {packs}: Listing,
): Promise<Map<PackId, ReadPack>> {
  const read = new Map<PackId, ReadPack>();
  await forEachConcurrent(chosen, readsAtOnce, async (pack) => {
    const bytes = await unlessDamaged(store.get(packKey(pack)));
    if (bytes === undefined || hashHex(bytes) !== pack) return;
    const copy: Pick<Store, 'get'> = {get: async (_, range) => bytes.subarray(range?.start, range?.end)};
    read.set(pack, {bytes, entries: await readPackTable(copy, pack, packs.get(pack)!.lengthBytes)});
  });
  await lease.confirm();
  return new Map(chosen.flatMap((pack) => (read.has(pack) ? [[pack, read.get(pack)!]] : [])));
}

/**
 * Writes every chunk of the packs once, as it is, with indexes of the new packs, and reads these packs back.
 * @returns the indexes
 */
async function writeMerged(
  {store, randomId, clock}: MergeDeps,
  packs: ReadonlyMap<PackId, ReadPack>,
  listing: Listing,
): Promise<readonly IndexId[]> {
  let indexes: readonly IndexId[] = [];
  const written: PackId[] = [];
  const onStored = (_: number, pack?: PackId) => {
    if (pack !== undefined) written.push(pack);
  };
  const index = new ChunkIndex(store, CacheFile.private(), randomId);
  try {
    const writer = new PackWriter({store, index, limits: {inMemory: 1}, randomId, onStored});
    for (const {bytes, entry} of chunksOf(packs)) {
      const {offset, storedBytes, ...facts} = entry;
      await writer.append({...facts, stored: bytes.subarray(offset, offset + storedBytes)});
    }
    await writer.flush();
    indexes = [...index.indexes()];
  } finally {
    index.close();
  }
  const beganMs = clock.wallMs();
  for (const pack of written) {
    const key: Key = packKey(pack);
    if (hashHex(await store.get(key)) !== pack) throw damaged(key, 'it is not what was just written');
  }
  // A backup that was verified stays verified, although its packs are others now.
  const ledger = await StoredLedger.read({store, clock, randomId});
  const exists = (pack: PackId) => listing.packs.has(pack) || written.includes(pack);
  await ledger.record(
    written.map((pack) => ({pack})),
    beganMs,
    exists,
  );
  return indexes;
}

/** One form of each chunk: a self-contained one if there is one, because others may be differences to it. */
function chunksOf(packs: ReadonlyMap<PackId, ReadPack>): Iterable<{bytes: Uint8Array; entry: Entry}> {
  const chunks = new Map<ChunkId, {bytes: Uint8Array; entry: Entry}>();
  for (const {bytes, entries} of packs.values()) {
    for (const entry of entries) {
      const known = chunks.get(entry.id);
      if (known === undefined || (known.entry.base !== undefined && entry.base === undefined))
        chunks.set(entry.id, {bytes, entry});
    }
  }
  return chunks.values();
}
