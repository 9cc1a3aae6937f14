import {assert} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {writeIndexes} from '../format/index-object.ts';
import type {IndexId} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PackId} from '../types.ts';

/** More indexes than this are merged, whatever is removed: each one costs a request when a vault is first opened. */
const indexesAtMost = 128;

/** Indexes that list a removed pack or cannot be read; all of them if there are too many. */
export function obsoleteIndexes(index: ChunkIndex, removed: ReadonlySet<PackId>): IndexId[] {
  const all = index.indexes();
  if (all.size > indexesAtMost) return [...all, ...index.damagedIndexes()];
  const obsolete = new Set<IndexId>(index.damagedIndexes());
  for (const pack of removed) for (const id of index.indexesOfPack(pack)) obsolete.add(id);
  return [...obsolete];
}

/**
 * Writes new indexes for the remaining packs of the obsolete ones.
 * @returns their ids
 */
export async function replaceIndexes(
  {store, index, randomId}: {store: Store; index: ChunkIndex; randomId: () => string},
  obsolete: readonly IndexId[],
  removed: ReadonlySet<PackId>,
): Promise<readonly IndexId[]> {
  const remaining = new Set(obsolete.flatMap((id) => index.packsOfIndex(id)).filter((pack) => !removed.has(pack)));
  function* listings() {
    for (const pack of remaining) {
      const listing = index.listing(pack);
      assert(listing !== undefined, 'a pack of an index is listed');
      yield listing;
    }
  }
  return writeIndexes(store, listings(), randomId);
}
