import type {Worker} from 'node:worker_threads';
import {assert} from '../../errors/index.ts';
import {hashHex} from '../format/hash.ts';
import type {ChunkId} from '../types.ts';
import {type EncodedChunk, type PlainChunk, roundTripFailed} from './codec.ts';
import type {Batch, BatchResult, Job} from './encoder-batch.ts';
import {startThread} from './start-thread.ts';

/** Chunks and their bases that one batch can hold; what is larger is encoded elsewhere. */
const roomBytes = 3 * 1024 * 1024;

/** A batch of so much is worth waking a thread for. */
const fullBytes = 1024 * 1024;

/**
 * Encodes on threads of its own. Chunks go to them in batches and in memory that is used again and again: waking a thread and
 * fresh memory cost about as much as compressing a chunk (docs/performance.md).
 */
export class EncoderThreads {
  readonly #threads: Thread[];
  readonly #free: Slot[];
  readonly #waiting: (() => void)[] = [];
  #open: Slot | undefined;
  #failure: Error | undefined;
  #up = 0;

  constructor({threads, level}: {threads: number; level: number}) {
    this.#threads = Array.from({length: threads}, () => this.#start(level));
    // One more than threads: it is filled while they work.
    this.#free = Array.from({length: threads + 1}, () => new Slot());
  }

  /** Whether they have started; what is given to them before waits. */
  get areUp(): boolean {
    return this.#up === this.#threads.length;
  }

  static fits({plain, base}: Pick<PlainChunk, 'plain' | 'base'>): boolean {
    return aligned(plain.length) + (base?.stored.length ?? 0) <= roomBytes;
  }

  /** @throws BkpError `OBJECT_DAMAGED` when it does not come out as it went in */
  async encode(chunk: PlainChunk): Promise<EncodedChunk> {
    assert(EncoderThreads.fits(chunk), 'a chunk fits into a batch');
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#open !== undefined && !this.#open.hasRoomFor(chunk)) this.#send();
      this.#open ??= this.#free.pop();
      if (this.#open !== undefined) break;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const slot = this.#open;
    // A batch that is not full goes when nothing more comes just now.
    if (slot.isEmpty) setImmediate(() => this.#open === slot && this.#send());
    const encoded = slot.add(chunk);
    if (slot.usedBytes >= fullBytes) this.#send();
    return encoded;
  }

  async close(): Promise<void> {
    this.#fail(new Error('the threads that compress have ended'));
    await Promise.all(this.#threads.map(({worker}) => worker.terminate()));
  }

  #start(level: number): Thread {
    const thread: Thread = {worker: startThread('encoder-thread', {level}), slots: []};
    thread.worker.on('message', (results: BatchResult) => {
      // None, when another thread failed, or all were closed, while this one worked: its chunks were told then.
      const slot = thread.slots.shift();
      if (slot === undefined) return;
      slot.settle(results);
      this.#free.push(slot);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    thread.worker.on('online', () => this.#up++);
    thread.worker.on('error', (error) => this.#fail(error));
    thread.worker.on('exit', () => this.#fail(new Error('a thread that compresses has ended')));
    return thread;
  }

  #send(): void {
    const slot = this.#open!;
    this.#open = undefined;
    const idlest = this.#threads.reduce((best, one) => (one.slots.length < best.slots.length ? one : best));
    idlest.slots.push(slot);
    idlest.worker.postMessage(slot.batch());
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const {slots} of this.#threads) for (const slot of slots.splice(0)) slot.fail(this.#failure);
    this.#open?.fail(this.#failure);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** The batches that it works on, the oldest first. */
type Thread = {worker: Worker; slots: Slot[]};

type Waiter = {id: ChunkId; resolve: (encoded: EncodedChunk) => void; reject: (error: Error) => void};

/** Memory for one batch: plain bytes in its first half, stored ones in its second. */
class Slot {
  readonly #memory = new SharedArrayBuffer(2 * roomBytes);
  readonly #bytes = new Uint8Array(this.#memory);
  #jobs: Job[] = [];
  #waiters: Waiter[] = [];
  usedBytes = 0;

  get isEmpty(): boolean {
    return this.#jobs.length === 0;
  }

  hasRoomFor({plain, base}: PlainChunk): boolean {
    return aligned(this.usedBytes) + aligned(plain.length) + (base?.stored.length ?? 0) <= roomBytes;
  }

  add({id, plain, column, base}: PlainChunk): Promise<EncodedChunk> {
    const part = this.#put(plain);
    this.#jobs.push({
      id,
      plain: part,
      out: roomBytes + part.at,
      ...(column === undefined ? {} : {column}),
      ...(base === undefined ? {} : {base: {...base, stored: this.#put(base.stored)}}),
    });
    return new Promise((resolve, reject) => this.#waiters.push({id, resolve, reject}));
  }

  batch(): Batch {
    return {memory: this.#memory, jobs: this.#jobs};
  }

  settle(results: BatchResult): void {
    const waiters = this.#clear();
    for (const [at, result] of results.entries()) {
      const {id, resolve, reject} = waiters[at]!;
      if ('error' in result) {
        reject(roundTripFailed(id, new Error(result.error)));
        continue;
      }
      const {stored: place, check, ...encoded} = result;
      // A copy: the memory is for the next batch.
      const stored = Buffer.from(this.#bytes.subarray(place.at, place.at + place.length));
      if (hashHex(stored) === check) resolve({...encoded, stored});
      else reject(roundTripFailed(id, new Error('it did not come whole from the thread that compressed it')));
    }
  }

  fail(error: Error): void {
    for (const {reject} of this.#clear()) reject(error);
  }

  #put(bytes: Uint8Array): {at: number; length: number} {
    const at = aligned(this.usedBytes);
    this.#bytes.set(bytes, at);
    this.usedBytes = at + bytes.length;
    return {at, length: bytes.length};
  }

  #clear(): Waiter[] {
    const waiters = this.#waiters;
    this.#jobs = [];
    this.#waiters = [];
    this.usedBytes = 0;
    return waiters;
  }
}

/** Numbers of eight bytes are read where they lie. */
const aligned = (at: number) => (at + 7) & ~7;
