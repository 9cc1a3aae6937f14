import {BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import {isDamage} from '../format/damage.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {Recovery} from '../read/recovery.ts';
import type {PackId, Recipe} from '../types.ts';
import type {ChunkWriter} from './chunk-writer.ts';
import {CopyPlan, type CopySource} from './copy-plan.ts';
import type {NewChunk, PackWriter} from './pack-writer.ts';

/** A pack of which at least this part is copied is read whole, with one request. */
const readWholeFrom = 0.5;

/** Else one read brings at most this much. */
const readBytes = 8 * 1024 * 1024;

/** Bytes between two chunks that are read and thrown away rather than paid for with another request. */
const gapBytes = 256 * 1024;

/** Reads under way while the last one is written: at most three packs are in memory. */
const readsAtOnce = 2;

export type CopyTarget = {
  index: ChunkIndex;
  packs: PackWriter;
  chunks: ChunkWriter;
};

/** More than the thread pool has threads, so that none waits for the event loop. */
const checksAtOnce = 6;

export type CopyOptions = {
  signal?: AbortSignal;
  /** Stored bytes; what the target has already is done from the beginning. */
  progress?: (bytesDone: number, bytesTotal: number) => void;
};

/** Chunks of one pack that are read at once. */
type Read = {pack: PackId; start: number; end: number; chunks: readonly Location[]};

/**
 * Brings chunks from one vault into another, in their stored form.
 *
 * Each is decoded and compared with its id before it is appended, so nothing that is damaged comes along.
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
   * Everything that the streams need, as far as the target lacks it.
   * @param onCopied is told of each chunk that came
   * @returns how many chunks the streams need
   * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` naming what cannot be had in the source
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
      for await (const {read, bytes} of mapConcurrent(this.#reads(plan), readsAtOnce, (read) => this.#get(read))) {
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
      throw this.#named(error);
    } finally {
      plan.close();
    }
  }

  *#reads(plan: CopyPlan): Iterable<Read> {
    for (const pack of plan.packs()) {
      const chunks = plan.chunksOf(pack);
      const wantedBytes = chunks.reduce((sum, {storedBytes}) => sum + storedBytes, 0);
      const isMostlyWanted = wantedBytes >= this.#source.index.chunkBytes(pack) * readWholeFrom;
      for (const run of isMostlyWanted ? [chunks] : runs(chunks)) {
        const last = run.at(-1)!;
        yield {pack, start: run[0]!.offset, end: last.offset + last.storedBytes, chunks: run};
      }
    }
  }

  /** `bytes` is absent when they cannot be had from there: then each chunk is looked for by itself. */
  async #get(read: Read): Promise<{read: Read; bytes?: Uint8Array}> {
    const {pack, start, end} = read;
    try {
      return {read, bytes: await this.#source.store.get(packKey(pack), {start, end})};
    } catch (error) {
      if (!isDamage(error)) throw error;
      return {read};
    }
  }

  async #take(chunk: Location, {start}: Read, bytes: Uint8Array | undefined): Promise<NewChunk> {
    let first: unknown;
    if (bytes !== undefined) {
      try {
        return await this.#checked(chunk, bytes, start);
      } catch (error) {
        if (!isDamage(error)) throw error;
        first = error;
      }
    }
    return this.#fromElsewhere(chunk, first);
  }

  /** @throws BkpError `OBJECT_DAMAGED` | `OBJECT_MISSING` (its base) */
  async #checked(place: Location, bytes: Uint8Array, from: number): Promise<NewChunk> {
    const {id, plainBytes, encoding, base, storedBytes} = place;
    const plain = await this.#source.reader.chunks.decode(place, bytes, from, this.#recovery);
    const {index, chunks} = this.#target;
    // One that the target's indexes name and that it lost: others there may count on it as their base.
    if (base !== undefined && index.namedLocations(id).length > 0) {
      return {id, plainBytes, ...(await chunks.compress({id, plain}))};
    }
    const stored = bytes.subarray(place.offset - from, place.offset - from + storedBytes);
    return {id, plainBytes, encoding, stored, ...(base === undefined ? {} : {base})};
  }

  /** From wherever the source still has it, in a form that needs no other base than the planned one. */
  async #fromElsewhere(chunk: Location, first: unknown): Promise<NewChunk> {
    let failure = first;
    for (const isLast of [false, true]) {
      if (isLast) await this.#recovery.run();
      for (const place of this.#source.index.locations(chunk.id)) {
        if (place.base !== undefined && place.base !== chunk.base) continue;
        try {
          const end = place.offset + place.storedBytes;
          const bytes = await this.#source.store.get(packKey(place.pack), {start: place.offset, end});
          return await this.#checked(place, bytes, place.offset);
        } catch (error) {
          if (!isDamage(error)) throw error;
          failure ??= error;
        }
      }
    }
    throw failure ?? new BkpError('OBJECT_MISSING', `chunk ${chunk.id} is in no pack`, {context: {chunk: chunk.id}});
  }

  #named(error: unknown): unknown {
    if (!isDamage(error)) return error;
    return new BkpError(error.code, `not all can be copied from ${this.#source.store.description}: ${error.message}`, {
      cause: error.cause ?? 'what was copied so far is found and used by the next copy',
      next: 'VERIFY the collection there; a new full backup stores anew what is lost, and can be copied',
      context: error.context,
    });
  }
}

/** Chunks that lie close together, cut where one read would get too large. */
function* runs(chunks: readonly Location[]): Iterable<readonly Location[]> {
  let run: Location[] = [];
  let start = 0;
  let end = 0;
  for (const chunk of chunks) {
    const chunkEnd = chunk.offset + chunk.storedBytes;
    if (run.length > 0 && (chunk.offset - end > gapBytes || chunkEnd - start > readBytes)) {
      yield run;
      run = [];
    }
    if (run.length === 0) start = chunk.offset;
    run.push(chunk);
    end = chunkEnd;
  }
  if (run.length > 0) yield run;
}
