import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Recipe} from '../types.ts';
import {Closure} from './closure.ts';
import type {StreamReader} from './stream-reader.ts';

/**
 * The closures of one backup after another. Each one is made from the one before, by the streams in which they differ:
 * successive backups share most of what they need, so a list of thousands costs little more than their differences.
 */
export class SlidingClosure {
  readonly #index: ChunkIndex;
  readonly #reader: StreamReader;
  /** Undefined after a fault: then the next one is made from nothing. */
  #closure: Closure | undefined;
  #streams: readonly Recipe[] = [];

  constructor(index: ChunkIndex, reader: StreamReader) {
    this.#index = index;
    this.#reader = reader;
  }

  /**
   * @returns what these streams need, until the next call
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` if a list cannot be read
   */
  async of(recipes: readonly Recipe[]): Promise<Closure> {
    if (this.#closure !== undefined && this.#closure.missing.size > 0) this.close();
    const before = this.#streams;
    this.#closure ??= new Closure(this.#index, this.#reader);
    try {
      // First what is new: what both need stays.
      for (const recipe of recipes) await this.#closure.addStream(recipe, rethrow);
      if (this.#closure.missing.size > 0 && before.length > 0) {
        this.close();
        return await this.of(recipes);
      }
      for (const recipe of before) await this.#closure.removeStream(recipe);
      this.#streams = recipes;
      return this.#closure;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#closure?.close();
    this.#closure = undefined;
    this.#streams = [];
  }
}

const rethrow = (error: unknown) => {
  throw error;
};
