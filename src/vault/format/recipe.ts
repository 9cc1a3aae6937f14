import type {ChunkId, Recipe} from '../types.ts';
import {hashHex, idBytes, readId, toBytes} from './hash.ts';
import {recipeInlineIds, recipeListIds} from './limits.ts';

/** Stores a list's bytes as one chunk. */
export type StoreList = (list: Uint8Array) => Promise<ChunkId>;

/**
 * Collects a stream's chunk ids into a recipe. Keeps one unfinished list for each level, so a stream of any
 * length takes a few hundred KiB.
 */
export class RecipeBuilder {
  readonly #storeList: StoreList;
  readonly #levels: ChunkId[][] = [[]];
  #sizeBytes = 0;

  constructor(storeList: StoreList) {
    this.#storeList = storeList;
  }

  async add(chunk: ChunkId, plainBytes: number): Promise<void> {
    this.#sizeBytes += plainBytes;
    await this.#addTo(0, chunk);
  }

  async finish(): Promise<Recipe> {
    for (let depth = 0; ; depth++) {
      const ids = this.#levels[depth]!;
      const isTop = depth === this.#levels.length - 1;
      if (isTop && ids.length <= recipeInlineIds) return {sizeBytes: this.#sizeBytes, depth, chunks: ids};
      if (ids.length > 0) await this.#storeLevel(depth);
    }
  }

  async #addTo(depth: number, id: ChunkId): Promise<void> {
    if (depth === this.#levels.length) this.#levels.push([]);
    const ids = this.#levels[depth]!;
    ids.push(id);
    if (ids.length === recipeListIds) await this.#storeLevel(depth);
  }

  async #storeLevel(depth: number): Promise<void> {
    const ids = this.#levels[depth]!;
    this.#levels[depth] = [];
    await this.#addTo(depth + 1, await this.#storeList(Buffer.concat(ids.map(toBytes))));
  }
}

/** The ids in one chunk of a list. */
export function* idsOfList(list: Uint8Array): Iterable<ChunkId> {
  for (let at = 0; at < list.length; at += idBytes) yield readId<ChunkId>(list, at);
}

/** Equal for recipes that lead to the same chunks, and for no others. Of about the length of an id. */
export function recipeKey({depth, chunks}: Recipe): string {
  // The number of ids keeps apart what is an id and what is a hash of ids: a chunk may have any content.
  const ids = chunks.length === 1 ? chunks[0] : hashHex(Buffer.from(chunks.join()));
  return `${depth} ${chunks.length} ${ids}`;
}
