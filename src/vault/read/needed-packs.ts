import {yieldToEventLoop} from '../../lib/async.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PackId, Recipe} from '../types.ts';
import {Recovery} from './recovery.ts';
import type {StreamReader} from './stream-reader.ts';

/** Ids looked up between two turns of the event loop: a few milliseconds. */
const idsAtOnce = 256;

/**
 * The packs that some streams need: those of their chunks, of the lists of long recipes, and of bases.
 * @throws BkpError `OBJECT_MISSING` naming a chunk that is in no pack
 */
export async function neededPacks(
  {index, reader, recovery = new Recovery(index)}: {index: ChunkIndex; reader: StreamReader; recovery?: Recovery},
  recipes: readonly Recipe[],
  signal?: AbortSignal,
): Promise<Set<PackId>> {
  const packs = new Set<PackId>();
  let count = 0;
  for (const recipe of recipes) {
    for (let depth = 0; depth <= recipe.depth; depth++) {
      for await (const id of reader.ids({...recipe, depth}, signal, recovery)) {
        signal?.throwIfAborted();
        if (++count % idsAtOnce === 0) await yieldToEventLoop();
        const {pack, base} = await recovery.locate(id);
        packs.add(pack);
        // Only a self-contained form can be read as a base.
        if (base !== undefined)
          packs.add((await recovery.locate(base, (location) => location.base === undefined)).pack);
      }
    }
  }
  return packs;
}
