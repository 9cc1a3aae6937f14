import {idBytes} from '../format/hash.ts';
import {recipeInlineIds, recipeListIds} from '../format/limits.ts';
import {IdList} from '../read/id-list.ts';
import type {ChunkId, IdBytes, Recipe} from '../types.ts';

/** Shorter lists would cost more objects than they save; see {@link cutLists}. */
const leastListIds = 16;
/** After the minimum, a list ends on average after this many more ids: 2 to 3 KiB a list. */
const meanListIds = 64;

/** Stores the bytes of lists as chunks. @returns their ids, in order */
type StoreLists = (lists: {bytes: Uint8Array}[]) => AsyncIterable<ChunkId>;

/** See `VaultWriter.writeIds`. */
export async function writeIdLists(storeLists: StoreLists, ids: IdBytes, sizeBytes: number): Promise<Recipe> {
  let level = IdList.over(ids);
  let depth = 0;
  while (level.length > recipeInlineIds) {
    const lists = cutLists(level);
    const upper = IdList.empty(lists.length);
    let at = 0;
    for await (const id of storeLists(lists)) upper.set(at++, id);
    level = upper;
    depth++;
  }
  return {sizeBytes, depth, chunks: level.range(0, level.length)};
}

/** A list ends after an id whose last byte is a multiple of `meanListIds`, within the two limits of its length. */
function cutLists(ids: IdList): {bytes: Buffer}[] {
  const lists: {bytes: Buffer}[] = [];
  const all = ids.bytes();
  let start = 0;
  for (let end = 1; end <= ids.length; end++) {
    const isCut = all[end * idBytes - 1]! % meanListIds === 0 && end - start >= leastListIds;
    if (!isCut && end - start < recipeListIds && end < ids.length) continue;
    lists.push({bytes: ids.bytes(start, end)});
    start = end;
  }
  return lists;
}
