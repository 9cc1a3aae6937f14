import {once} from '../../../lib/once.ts';
import {ThreadPool} from '../../../lib/thread-pool.ts';
import {TakeRows} from '../../take-rows.ts';
import {marksOf, memoryPages, mostMemoryPages, outputOf} from './extract-memory.ts';
import {PageFault} from './page-fault.ts';
import type {Extracted, KeyRun, PageExtractor, PageFiles, RowidRun} from './page-files.ts';
import {pageModule} from './page-module.ts';
import type {PageAnswer, PageJob, PageThreadData} from './page-thread.ts';

/**
 * Unreleased extractions of a thread, of which it is working on one. The others wait for the threads that compress
 * them, or for an earlier extraction that has to be written first.
 */
const slotsPerThread = 8;

/** Extracts runs on threads. Each has memory of its own, with slots for its outputs. */
export class PageThreads implements PageExtractor {
  readonly #threads: readonly PageThread[];
  /** Calls that wait for a slot, the oldest first. */
  readonly #waiting: {begin: (thread: PageThread) => void; reject: (error: Error) => void}[] = [];
  #isClosed = false;

  constructor(files: PageFiles, {threads}: {threads: number}) {
    this.#threads = Array.from({length: threads}, () => new PageThread(files));
  }

  extract(run: RowidRun | KeyRun): Promise<Extracted> {
    const begin = (thread: PageThread) => thread.extract(run, () => this.#beginWaiting());
    if (this.#isClosed) return Promise.reject(new Error('the threads have ended'));
    const thread = this.#leastBusy();
    if (run.from !== undefined || (thread.held < slotsPerThread && this.#waiting.length === 0)) return begin(thread);
    return new Promise((resolve, reject) => {
      this.#waiting.push({begin: (free) => resolve(begin(free)), reject});
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const {reject} of this.#waiting.splice(0)) reject(new Error('the threads have ended'));
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #leastBusy(): PageThread {
    return this.#threads.reduce((best, thread) => (thread.held < best.held ? thread : best));
  }

  #beginWaiting(): void {
    const thread = this.#leastBusy();
    if (thread.held < slotsPerThread) this.#waiting.shift()?.begin(thread);
  }
}

class PageThread {
  readonly #pool: ThreadPool<PageJob, PageAnswer>;
  readonly #memory: WebAssembly.Memory;
  readonly #free: number[] = [];
  #slots = 0;
  /** Slots in use. */
  held = 0;

  constructor(files: PageFiles) {
    this.#memory = new WebAssembly.Memory({
      initial: memoryPages(slotsPerThread),
      maximum: mostMemoryPages,
      shared: true,
    });
    const workerData: PageThreadData = {files, module: pageModule(), memory: this.#memory};
    this.#pool = new ThreadPool('page-thread', import.meta.url, {threads: 1, workerData});
  }

  /** @param onRelease called when a slot was released */
  async extract(run: RowidRun | KeyRun, onRelease: () => void): Promise<Extracted> {
    const slot = this.#takeSlot();
    const release = once(() => {
      this.#free.push(slot);
      this.held--;
      onRelease();
    });
    try {
      return {...this.#extracted(run, slot, checked(await this.#pool.run({run, slot}))), release};
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  #takeSlot(): number {
    this.held++;
    const slot = this.#free.pop() ?? this.#slots++;
    const missing = memoryPages(slot + 1) - this.#memory.buffer.byteLength / 65536;
    if (missing > 0) this.#memory.grow(missing);
    return slot;
  }

  #extracted(run: RowidRun | KeyRun, slot: number, extraction: Extraction): Omit<Extracted, 'release'> {
    const {bytes, records, next, marks, lastQualifies, lastAt, content, hasOddKey} = extraction;
    const taken = new Uint8Array(this.#memory.buffer, outputOf(slot), bytes);
    const output = {bytes: taken, records, next, content, hasOddKey};
    if (run.kind === 'rowid') return output;
    return {
      ...output,
      marks: new Uint32Array(this.#memory.buffer, marksOf(slot), marks).slice(),
      lastQualifies: records > 0 ? lastQualifies : undefined,
      lastAt: records > 0 ? lastAt : undefined,
    };
  }
}

type Extraction = Extract<PageAnswer, {kind: 'extraction'}>;

/** @throws what the thread sent instead of an extraction */
function checked(answer: PageAnswer): Extraction {
  switch (answer.kind) {
    case 'extraction':
      return answer;
    case 'fault':
      throw new PageFault(answer.page, answer.what);
    case 'take-rows':
      throw new TakeRows(answer.reason);
    case 'failure':
      throw Object.assign(new Error(answer.message), {code: answer.code});
  }
}
