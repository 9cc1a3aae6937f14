import type {Entry} from '../format/entry.ts';

/**
 * Splits the chunks of one pack, in the order of their offsets, into runs that one request reads.
 * @param limits.gapBytes bytes between two chunks that are read and dropped to save a request
 * @param limits.readBytes at most this much for one run; a single chunk may be larger
 */
export function* runs<Chunk extends Pick<Entry, 'offset' | 'storedBytes'>>(
  chunks: readonly Chunk[],
  {gapBytes, readBytes}: {gapBytes: number; readBytes: number},
): Iterable<readonly Chunk[]> {
  let run: Chunk[] = [];
  let start = 0;
  let end = 0;
  for (const chunk of chunks) {
    const gap = chunk.offset - end;
    const chunkEnd = chunk.offset + chunk.storedBytes;
    if (run.length > 0 && (gap < 0 || gap > gapBytes || chunkEnd - start > readBytes)) {
      yield run;
      run = [];
    }
    if (run.length === 0) start = chunk.offset;
    run.push(chunk);
    end = chunkEnd;
  }
  if (run.length > 0) yield run;
}
