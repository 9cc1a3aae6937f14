import type {ChunkIndex} from './chunk-index.ts';
import {type ChunkReader, chunkMissing, Recovery} from './chunk-reader.ts';
import type {Location} from './chunk-table.ts';
import {breathe} from './in-order.ts';
import type {ChunkId, PackId, Recipe} from './types.ts';

/** Ids looked up before the event loop gets its turn: a few milliseconds. */
const idsAtOnce = 256;

/**
 * The packs that some streams need: those of their chunks, of long recipes' lists, and of bases.
 * @throws BkpError `OBJECT_MISSING` naming a chunk that is in no pack
 */
export async function neededPacks(
  {index, reader}: {index: ChunkIndex; reader: ChunkReader},
  recipes: readonly Recipe[],
): Promise<Set<PackId>> {
  const packs = new Set<PackId>();
  const recovery = new Recovery(index);
  const place = async (id: ChunkId, find: () => Location | undefined) => {
    const first = find();
    if (first !== undefined) return first;
    await recovery.run();
    const second = find();
    if (second === undefined) throw chunkMissing(id);
    return second;
  };
  let count = 0;
  for (const recipe of recipes) {
    for (let depth = 0; depth <= recipe.depth; depth++) {
      for await (const id of reader.ids({...recipe, depth}, undefined, recovery)) {
        if (++count % idsAtOnce === 0) await breathe();
        const {pack, base} = await place(id, () => index.locate(id));
        packs.add(pack);
        if (base === undefined) continue;
        // Only a form that needs no other can be read as a base.
        const own = () => index.locations(base).find((location) => location.base === undefined);
        packs.add((await place(base, own)).pack);
      }
    }
  }
  return packs;
}
