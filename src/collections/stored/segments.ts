import {BkpError} from '../../errors/index.ts';
import {copiedBytes} from '../../lib/memory.ts';
import type {Recipe, VaultReader} from '../../vault/index.ts';
import type {SegmentStream} from './layers.ts';

/** The first segments of a stream; `bytes`: how long they are together. */
export type FirstSegments = {segments: number; bytes: number};

/** A recipe of what follows the first segments of a stream. */
async function rest(vault: VaultReader, recipe: Recipe, data: SegmentStream, after: FirstSegments): Promise<Recipe> {
  if (after.segments === 0) return recipe;
  let first = 0;
  for (let segment = 0; segment < after.segments; segment++) first += chunksOfSegment(data, segment);
  const chunks = (await vault.chunkIds(recipe)).slice(first);
  return {sizeBytes: recipe.sizeBytes - after.bytes, depth: 0, chunks};
}

/** How many chunks hold a segment. */
export function chunksOfSegment(data: SegmentStream, segment: number): number {
  return data.wide?.[String(segment)] ?? 1;
}

/**
 * Reads the segments of a stream, in order.
 * @param streams of the manifest that `data` is from
 * @param options.borrowed reuse the memory of a segment when the next segment is requested. Default false
 * @param options.after begin after these segments
 * @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING`
 */
export async function* readSegments(
  vault: VaultReader,
  streams: readonly Recipe[],
  data: SegmentStream,
  {
    after = {segments: 0, bytes: 0},
    ...options
  }: {
    signal: AbortSignal;
    borrowed?: boolean;
    after?: FirstSegments;
  },
): AsyncGenerator<Uint8Array> {
  let segment = after.segments;
  let chunks: Uint8Array[] = [];
  for await (const chunk of vault.read(await rest(vault, streams[data.stream]!, data, after), options)) {
    const of = chunksOfSegment(data, segment);
    // The memory of a chunk that is borrowed is used again for the next one.
    chunks.push(of === 1 || options.borrowed !== true ? chunk : copiedBytes(chunk));
    if (chunks.length < of) continue;
    yield of === 1 ? chunk : Buffer.concat(chunks);
    chunks = [];
    segment++;
  }
  if (segment !== data.segments || chunks.length > 0) {
    throw new BkpError('OBJECT_DAMAGED', `a layer has ${segment} segments instead of ${data.segments}`, {
      next: 'VERIFY the collection, and restore another backup',
    });
  }
}
