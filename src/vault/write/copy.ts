import {BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import {isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {chunkMissing, Recovery} from '../read/recovery.ts';
import type {Recipe} from '../types.ts';
import type {ChunkWriter} from './chunk-writer.ts';
import {CopyPlan, type CopySource} from './copy-plan.ts';
import {type CopyRead, copyReads} from './copy-reads.ts';
import type {NewChunk, PackWriter} from './pack-writer.ts';

/** Reads under way while the last one is written: at most three packs are in memory. */
const readsAtOnce = 2;

/** More than libuv's pool has threads (4), so that none of them waits for the event loop. */
const checksAtOnce = 6;

export type CopyTarget = {index: ChunkIndex; packs: PackWriter; chunks: ChunkWriter};

export type CopyOptions = {
  signal?: AbortSignal;
  /** Stored bytes; what the target already has counts as done from the beginning. */
  progress?: (bytesDone: number, bytesTotal: number) => void;
};

/**
 * Copies chunks from one vault into another, in their stored form.
 *
 * Each chunk is decoded and compared with its id before it is appended, so that no damage is copied.
 */
export class Copy {
  readonly #source: CopySource;
  readonly #target: CopyTarget;
  readonly #recovery: Recovery;

  constructor(source: CopySource, target: CopyTarget) {
    this.#source = source;
    this.#target = target;
    this.#recovery = new Recovery(source.index);
  }

  /**
   * Copies what the streams need and the target does not have.
   * @param onCopied called for each chunk that was copied
   * @returns how many chunks the streams need
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming what the source cannot provide
   */
  async run(
    recipes: readonly Recipe[],
    {signal, progress}: CopyOptions,
    onCopied: (chunk: NewChunk) => void,
  ): Promise<number> {
    const plan = new CopyPlan(this.#source, this.#target.index, this.#recovery);
    try {
      for (const recipe of recipes) await plan.addStream(recipe, signal);
      const totals = plan.totals();
      let done = totals.heldBytes;
      progress?.(done, totals.bytes);
      const reads = copyReads(plan, this.#source.index);
      for await (const {read, bytes} of mapConcurrent(reads, readsAtOnce, (read) => this.#get(read))) {
        signal?.throwIfAborted();
        const checked = mapConcurrent(read.chunks, checksAtOnce, (chunk) => this.#take(chunk, read, bytes));
        for await (const chunk of checked) {
          signal?.throwIfAborted();
          await this.#target.packs.append(chunk);
          onCopied(chunk);
        }
        done += read.chunks.reduce((sum, {storedBytes}) => sum + storedBytes, 0);
        progress?.(done, totals.bytes);
      }
      return totals.chunks;
    } catch (error) {
      throw this.#withStore(error);
    } finally {
      plan.close();
    }
  }

  /** `bytes` is absent if they cannot be read: then each chunk is searched on its own. */
  async #get(read: CopyRead): Promise<{read: CopyRead; bytes?: Uint8Array}> {
    const {pack, start, end} = read;
    try {
      return {read, bytes: await this.#source.store.get(packKey(pack), {start, end})};
    } catch (error) {
      if (!isDamage(error)) throw error;
      return {read};
    }
  }

  async #take(chunk: Location, {start}: CopyRead, bytes: Uint8Array | undefined): Promise<NewChunk> {
    let failure: unknown;
    if (bytes !== undefined) {
      try {
        return await this.#checked(chunk, bytes, start);
      } catch (error) {
        if (!isDamage(error)) throw error;
        failure = error;
      }
    }
    return this.#fromElsewhere(chunk, failure);
  }

  /** @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` (its base) */
  async #checked(location: Location, bytes: Uint8Array, from: number): Promise<NewChunk> {
    const {id, plainBytes, encoding, base, storedBytes} = location;
    const plain = await this.#source.reader.chunks.decode(location, bytes, from, this.#recovery);
    const {index, chunks} = this.#target;
    // A lost chunk that the target's indexes still name is stored self-contained, because other chunks there may use it
    // as their base.
    if (base !== undefined && index.namedLocations(id).length > 0) {
      return {id, plainBytes, ...(await chunks.compress({id, plain}))};
    }
    const stored = bytes.subarray(location.offset - from, location.offset - from + storedBytes);
    return {id, plainBytes, encoding, stored, base};
  }

  /** From any location where the source still has it, in a form that needs no other base than the planned one. */
  async #fromElsewhere(chunk: Location, firstFailure: unknown): Promise<NewChunk> {
    let failure = firstFailure;
    for (const isLast of [false, true]) {
      if (isLast) await this.#recovery.run();
      for (const location of this.#source.index.locations(chunk.id)) {
        if (location.base !== undefined && location.base !== chunk.base) continue;
        try {
          const end = location.offset + location.storedBytes;
          const bytes = await this.#source.store.get(packKey(location.pack), {start: location.offset, end});
          return await this.#checked(location, bytes, location.offset);
        } catch (error) {
          if (!isDamage(error)) throw error;
          failure ??= error;
        }
      }
    }
    throw failure ?? chunkMissing(chunk.id);
  }

  #withStore(error: unknown): unknown {
    if (!isDamage(error)) return error;
    return new BkpError(error.code, `not all can be copied from ${this.#source.store.description}: ${error.message}`, {
      cause: error.cause ?? 'the next copy finds and uses what was copied so far',
      next: 'VERIFY the collection there; a new full backup stores again what is lost, and can be copied',
      context: error.context,
    });
  }
}
