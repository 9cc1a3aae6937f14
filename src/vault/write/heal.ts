import {isDamage} from '../format/damage.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ChunkId, HealedChunks, Recipe} from '../types.ts';
import type {CopySource} from './copy-plan.ts';

/** A vault that may still have the chunks: this one, or another one. */
export type HealSource = {
  source: CopySource;
  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming the chunk at fault */
  copy: (recipe: Recipe) => Promise<void>;
};

/**
 * Writes chunks again that no reliable pack has, each from the first source that still has it. Chunks that no source
 * has do not keep the others from being healed.
 * @param flush makes what was copied durable, and known to the index
 */
export async function healChunks(
  {index, flush}: {index: ChunkIndex; flush: () => Promise<void>},
  chunks: readonly ChunkId[],
  sources: readonly HealSource[],
): Promise<HealedChunks> {
  const wanted = [...new Set(chunks)].filter((id) => !index.hasReliable(id));
  let lost = wanted;
  for (const {source, copy} of sources) {
    await source.index.ready();
    await copyAsFarAsPossible(
      lost.filter((id) => source.index.locate(id) !== undefined),
      copy,
    );
    await flush();
    lost = lost.filter((id) => !index.hasReliable(id));
  }
  return {healed: wanted.length - lost.length, lost};
}

async function copyAsFarAsPossible(chunks: readonly ChunkId[], copy: HealSource['copy']): Promise<void> {
  const left = new Set(chunks);
  while (left.size > 0) {
    const bad = await faultOf(copy, [...left]);
    if (bad === undefined) return;
    // A base is at fault, and several of the chunks may need it.
    if (!left.delete(bad)) return oneByOne(copy, [...left]);
  }
}

async function oneByOne(copy: HealSource['copy'], chunks: readonly ChunkId[]): Promise<void> {
  for (const chunk of chunks) await faultOf(copy, [chunk]);
}

/** @returns the chunk that could not be copied; undefined when all were */
async function faultOf(copy: HealSource['copy'], chunks: readonly ChunkId[]): Promise<ChunkId | undefined> {
  try {
    await copy({sizeBytes: 0, depth: 0, chunks});
    return undefined;
  } catch (error) {
    const {chunk} = isDamage(error) ? error.context : {};
    if (typeof chunk !== 'string') throw error;
    return chunk as ChunkId;
  }
}
