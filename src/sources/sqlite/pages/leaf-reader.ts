import type {PageReader} from './page-reader.ts';

/**
 * Puts leaves one after the other into memory, as many as have room. Neighbours take one call of the system; a table
 * that was filled in the order of its key consists of such runs.
 * @param from the first leaf that is read
 * @returns the leaf after the last one that was read
 */
export function readLeaves(
  leaves: Uint32Array,
  from: number,
  {reader, pageBytes, into, at, bytes}: {reader: PageReader; pageBytes: number; into: Uint8Array} & Area,
): number {
  const end = Math.min(leaves.length, from + Math.floor(bytes / pageBytes));
  for (let leaf = from; leaf < end; ) {
    const first = leaves[leaf]!;
    let count = 1;
    if (reader.isInFile(first)) {
      while (leaf + count < end && leaves[leaf + count] === first + count && reader.isInFile(first + count)) count++;
    }
    const place = at + (leaf - from) * pageBytes;
    if (count > 1) reader.readAdjacent(first, count, into, place);
    else reader.read(first, into, place);
    leaf += count;
  }
  return end;
}

type Area = {at: number; bytes: number};
