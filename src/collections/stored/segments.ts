import {BkpError} from '../../errors/index.ts';
import type {Recipe, VaultReader} from '../../vault/index.ts';
import type {SegmentStream} from './layers.ts';

/** How many chunks hold a segment. */
export function chunksOfSegment(data: SegmentStream, segment: number): number {
  return data.wide?.[String(segment)] ?? 1;
}

/**
 * Reads the segments of a stream, in order.
 * @param streams of the manifest that `data` is from
 * @param options.borrowed reuse the memory of a segment of one chunk when the next segment is requested. Default false
 * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING`
 */
export async function* readSegments(
  vault: VaultReader,
  streams: readonly Recipe[],
  data: SegmentStream,
  options: {signal: AbortSignal; borrowed?: boolean},
): AsyncGenerator<Uint8Array> {
  let segment = 0;
  let chunks: Uint8Array[] = [];
  for await (const chunk of vault.read(streams[data.stream]!, options)) {
    chunks.push(chunk);
    if (chunks.length < chunksOfSegment(data, segment)) continue;
    yield chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    chunks = [];
    segment++;
  }
  if (segment !== data.segments || chunks.length > 0) {
    throw new BkpError('OBJECT_DAMAGED', `a layer has ${segment} segments instead of ${data.segments}`, {
      next: 'VERIFY the collection, and restore another backup',
    });
  }
}
