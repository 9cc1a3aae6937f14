import {yieldToEventLoop} from '../../lib/async.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Place} from '../indexes/chunk-table.ts';
import type {ChunkId, PackId, Recipe} from '../types.ts';
import {Recovery} from './recovery.ts';
import type {StreamReader} from './stream-reader.ts';

/** Ids looked up between two turns of the event loop: a few milliseconds. */
const idsAtOnce = 256;

type Tools = {index: ChunkIndex; reader: StreamReader; recovery?: Recovery};

/**
 * The packs that some streams need: those of their chunks, of the lists of long recipes, and of bases.
 * @throws BkpError `OBJECT_MISSING` naming a chunk that is in no pack
 */
export async function neededPacks(
  {index, reader, recovery = new Recovery(index)}: Tools,
  recipes: readonly Recipe[],
  signal?: AbortSignal,
): Promise<Set<PackId>> {
  const packs = new Set<PackId>();
  const add = async (ids: readonly ChunkId[]) => {
    const bases = new Set<ChunkId>();
    for (const {pack, base} of await placesOf(ids, index, recovery)) {
      packs.add(pack);
      if (base !== undefined) bases.add(base);
    }
    // Only a self-contained form can be read as a base.
    for (const {pack} of await placesOf([...bases], index, recovery, ({base}) => base === undefined)) packs.add(pack);
  };
  for (const recipe of recipes) {
    for (let depth = 0; depth <= recipe.depth; depth++) {
      let batch: ChunkId[] = [];
      for await (const id of reader.ids({...recipe, depth}, signal, recovery)) {
        if (batch.push(id) < idsAtOnce) continue;
        signal?.throwIfAborted();
        await add(batch);
        batch = [];
        await yieldToEventLoop();
      }
      await add(batch);
    }
  }
  return packs;
}

/** The best place of each chunk that `isWanted` accepts. @throws BkpError `OBJECT_MISSING` */
async function placesOf(
  chunks: readonly ChunkId[],
  index: ChunkIndex,
  recovery: Recovery,
  isWanted: (place: Place) => boolean = () => true,
): Promise<Place[]> {
  const found = index.places(chunks).map((places) => places.find(isWanted));
  if (found.every((place) => place !== undefined)) return found;
  // Recovery may replace the index, and with it what was found.
  const located: Place[] = [];
  for (const chunk of chunks) located.push(await recovery.locate(chunk, isWanted));
  return located;
}
