import {assert} from '../../errors/index.ts';
import {ThreadPool} from '../../lib/thread-pool.ts';
import type {EncodedChunk, PlainChunk} from './encode.ts';
import {type Batch, BatchMemory, type BatchResult} from './encoder-batch.ts';

/**
 * Encodes on threads of its own. Chunks are sent in batches and in memory that is reused, because waking a thread and
 * allocating fresh memory cost about as much as compressing a chunk (docs/performance.md).
 *
 * A thread that fails while it works fails all chunks, now and later: the backup cannot be committed anyway.
 */
export class EncoderThreads {
  readonly #pool: ThreadPool<Batch, BatchResult>;
  readonly #free: BatchMemory[];
  readonly #sent = new Set<BatchMemory>();
  #open: BatchMemory | undefined;
  /** Callers that wait for free memory. */
  readonly #waiting: (() => void)[] = [];
  #failure: Error | undefined;

  constructor({threads, level}: {threads: number; level: number}) {
    this.#pool = new ThreadPool('encoder-thread', import.meta.url, {threads, workerData: {level}});
    // One more than threads: it is filled while they work.
    this.#free = Array.from({length: threads + 1}, () => new BatchMemory());
  }

  /** Whether the threads have started; chunks that are passed to `encode` earlier wait for that. */
  get areUp(): boolean {
    return this.#pool.isUp;
  }

  static fits(chunk: Pick<PlainChunk, 'plain' | 'base'>): boolean {
    return BatchMemory.fits(chunk);
  }

  /**
   * @param chunk its bytes must stay the same until this returns; bytes in shared memory are not copied
   * @throws BkpError `OBJECT_DAMAGED` if it does not decode to what was passed in
   */
  async encode(chunk: PlainChunk): Promise<EncodedChunk> {
    assert(EncoderThreads.fits(chunk), 'a chunk fits into a batch');
    let batch = this.#roomFor(chunk);
    while (batch === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      batch = this.#roomFor(chunk);
    }
    // A batch that is not full is sent when the current turn of the event loop brings no more chunks.
    if (batch.isEmpty) setImmediate(() => this.#open === batch && this.#send(batch));
    const encoded = batch.add(chunk);
    if (batch.isFull) this.#send(batch);
    return encoded;
  }

  async close(): Promise<void> {
    this.#fail(new Error('the threads that compress have ended'));
    await this.#pool.end();
  }

  /** Memory to put the chunk into before anything else runs; undefined while all of it is at the threads. */
  #roomFor(chunk: PlainChunk): BatchMemory | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#open?.hasRoomFor(chunk) === false) this.#send(this.#open);
    this.#open ??= this.#free.pop();
    return this.#open;
  }

  async #send(batch: BatchMemory): Promise<void> {
    this.#open = undefined;
    this.#sent.add(batch);
    try {
      const results = await this.#pool.run(batch.batch());
      // After a failure, the chunks of this batch have been rejected already.
      if (!this.#sent.delete(batch)) return;
      batch.settle(results);
      this.#free.push(batch);
      this.#wake();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const batch of this.#sent) batch.fail(this.#failure);
    this.#sent.clear();
    this.#open?.fail(this.#failure);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
