import type {Key, ObjectFacts, Store} from '../../stores/index.ts';
import {
  damagedPackOfKey,
  damagedPrefix,
  headerKey,
  type IndexId,
  indexOfKey,
  indexPrefix,
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
 * Everything in a store but manifests and documents: from a server by one listing, because each page of it is paid for;
 * from a disk by one listing for each folder, because there may be foreign, unreadable folders beside those of the
 * vault.
 *
 * The pages of a listing do not show one point in time, but they arrive in the order of the keys: damage notes,
 * indexes, leases, packs, notes of removals. That is enough for a writer whose lease was in the store before the first
 * page:
 * - A collector that begins after the page of leases finds the writer's lease and waits. If that page shows a
 *   collector, the writer waits for it and lists the store again. A collector that ended before that page may
 *   have changed what the earlier pages show:
 *   - An index that it removed can no longer be read, and the store is listed again. If the index is known from
 *     a copy, its packs are compared with those in the listing, which were listed after the collector ended:
 *     missing packs are noticed.
 *   - An index that it wrote is not in the listing. Its packs are, and since no known index lists them, their
 *     own tables are read.
 * - A pack that a collector is about to remove is named in a note of removals. The note was in the store before
 *   a listing of that collector showed the collector's own lease, and a process that takes the collector for
 *   dead does so after that. So if this listing does not show the lease, it shows the note, because its page
 *   comes later. The same holds after this writer itself ended the lease, because it then lists the store
 *   again.
 * - Damage notes that are put after their page belong to a verification that ended after this writer began. A
 *   note that was removed meanwhile costs one chunk that is stored twice.
 */
export type Listing = {
  damaged: ReadonlySet<PackId>;
  indexes: ReadonlySet<IndexId>;
  leases: Leases;
  packs: PacksInStore;
  /** Notes of packs that a collector was about to remove. */
  removals: readonly Key[];
};

/** In the order that {@link Listing} requires. */
const folders = [damagedPrefix, indexPrefix, locksPrefix, packsPrefix, removalsPrefix];

export async function listVault(store: Store): Promise<Listing> {
  const damaged = new Set<PackId>();
  const indexes = new Set<IndexId>();
  const removals: Key[] = [];
  const groups = new LeaseGroups();
  const packs = new Map<PackId, {lengthBytes: number; modifiedAtMs: number}>();
  for await (const {key, sizeBytes, modifiedAtMs} of listEach(store)) {
    if (key.startsWith(packsPrefix)) {
      const id = packOfKey(key);
      if (id !== undefined) packs.set(id, {lengthBytes: sizeBytes, modifiedAtMs});
    } else if (key.startsWith(locksPrefix)) groups.add(key);
    else if (key.startsWith(removalsPrefix)) removals.push(key);
    else {
      const index = key.startsWith(indexPrefix) ? indexOfKey(key) : undefined;
      const pack = key.startsWith(damagedPrefix) ? damagedPackOfKey(key) : undefined;
      if (index !== undefined) indexes.add(index);
      if (pack !== undefined) damaged.add(pack);
    }
  }
  return {damaged, indexes, leases: groups.leases, packs, removals};
}

async function* listEach(store: Store): AsyncIterable<ObjectFacts> {
  // Manifests and documents come before the header. A long chain has many, and a writer does not need them here.
  if (store.properties.flatListing) yield* store.list('', {after: headerKey});
  else for (const prefix of folders) yield* store.list(prefix);
}

export async function listIndexes(store: Store): Promise<ReadonlySet<IndexId>> {
  const indexes = new Set<IndexId>();
  for await (const {key} of store.list(indexPrefix)) {
    const id = indexOfKey(key);
    if (id !== undefined) indexes.add(id);
  }
  return indexes;
}
