import type {Key, ObjectFacts, Store} from '../../stores/index.ts';
import {
  damagedPackOfKey,
  damagedPrefix,
  type IndexId,
  indexOfKey,
  indexPrefix,
  isNamedKey,
  locksPrefix,
  packOfKey,
  packsPrefix,
  removalsPrefix,
} from '../format/key.ts';
import {LeaseGroups, type Leases} from '../lease/objects.ts';
import type {PackId} from '../types.ts';

/** A pack of 16 MiB takes about 200 bytes here: 20 MiB for 1.6 TiB of packs. */
export type PacksInStore = ReadonlyMap<PackId, {lengthBytes: number; modifiedAtMs: number}>;

/**
 * All that lies in a store: on a server by one listing, for which the pages are paid; elsewhere by one a folder, because beside a
 * vault on a disk there may lie folders of others that may not be read.
 *
 * Its pages are not of one moment, but they come in the order of the keys: manifests, damage notes, indexes, leases, packs, notes
 * of removals. For a writer whose own lease was there before the first page that is enough:
 * - A collector that begins after the leases' page finds the writer's lease, and waits. One that is seen there is waited for,
 *   and then the store is listed again. One that ended before that page may have changed what the pages before it say:
 *   - An index that it removed cannot be read any more, and the store is listed again; or it is known from a copy, and what it
 *     says is held against the packs, which were listed after the collector had ended: those that are gone are known to be.
 *   - An index that it wrote is not seen; its packs are, and as no known index lists them, their own tables are read.
 * - A pack that a collector is about to remove is in a note of removals, which was there before a listing of that collector showed
 *   its lease. Whoever took it for dead did so after that, so where the lease is not seen, or was just now ended by this writer, who
 *   then lists again, the note is: its page comes later.
 * - Damage notes that are put after their page belong to a verification that ended after this writer began. One that was taken
 *   away costs a chunk that is written twice.
 */
export type Listing = {
  /** Manifests and documents; none where they have no versions. */
  named: readonly ObjectFacts[];
  damaged: ReadonlySet<PackId>;
  indexes: ReadonlySet<IndexId>;
  leases: Leases;
  packs: PacksInStore;
  /** Notes of packs that a collector was about to remove. */
  removals: readonly Key[];
};

/** In the order that `Listing` needs. */
const folders = [damagedPrefix, indexPrefix, locksPrefix, packsPrefix, removalsPrefix];

export async function listVault(store: Store): Promise<Listing> {
  const named: ObjectFacts[] = [];
  const damaged = new Set<PackId>();
  const indexes = new Set<IndexId>();
  const removals: Key[] = [];
  const groups = new LeaseGroups();
  const packs = new Map<PackId, {lengthBytes: number; modifiedAtMs: number}>();
  const prefixes = store.traffic === undefined ? folders : [''];
  for await (const facts of listEach(store, prefixes)) {
    const {key, sizeBytes, modifiedAtMs} = facts;
    if (key.startsWith(packsPrefix)) {
      const id = packOfKey(key);
      if (id !== undefined) packs.set(id, {lengthBytes: sizeBytes, modifiedAtMs});
    } else if (key.startsWith(locksPrefix)) groups.add(key);
    else if (key.startsWith(removalsPrefix)) removals.push(key);
    else if (isNamedKey(key)) named.push(facts);
    else {
      const index = key.startsWith(indexPrefix) ? indexOfKey(key) : undefined;
      const pack = key.startsWith(damagedPrefix) ? damagedPackOfKey(key) : undefined;
      if (index !== undefined) indexes.add(index);
      if (pack !== undefined) damaged.add(pack);
    }
  }
  return {named, damaged, indexes, leases: groups.leases, packs, removals};
}

async function* listEach(store: Store, prefixes: readonly string[]): AsyncIterable<ObjectFacts> {
  for (const prefix of prefixes) yield* store.list(prefix);
}

export async function listIndexes(store: Store): Promise<ReadonlySet<IndexId>> {
  const indexes = new Set<IndexId>();
  for await (const {key} of store.list(indexPrefix)) {
    const id = indexOfKey(key);
    if (id !== undefined) indexes.add(id);
  }
  return indexes;
}
