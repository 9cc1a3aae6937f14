import {Worker} from 'node:worker_threads';

/**
 * Threads keep nothing between jobs. With more room their garbage collector runs rarely, and what zlib returned stays
 * allocated until it does.
 */
const resourceLimits = {maxYoungGenerationSizeMb: 2};

/**
 * Threads that answer each message they are sent with one message, in order.
 *
 * - A job goes to the thread with the fewest unfinished jobs.
 * - A thread with unfinished jobs keeps the process alive; an idle one does not.
 * - A thread that fails to start, throws or exits rejects its unfinished jobs and is not replaced: what ended
 *   it would most likely end its successor too. The owner decides whether the other threads are still worth
 *   using.
 */
export class ThreadPool<Job, Result> {
  readonly #threads: PoolThread<Job, Result>[];

  /**
   * @param file a file beside the caller's, without its ending: a source file, or built into dist by
   *   scripts/bundle.js
   * @param callerUrl `import.meta.url` of the caller
   */
  constructor(file: string, callerUrl: string, {threads, workerData}: {threads: number; workerData?: unknown}) {
    this.#threads = Array.from({length: threads}, () => new PoolThread(startThread(file, callerUrl, workerData)));
  }

  /** Whether every thread has started; jobs sent earlier wait for that. */
  get isUp(): boolean {
    return this.#threads.every(({isUp}) => isUp);
  }

  /**
   * @param transfer memory that the thread takes over, instead of getting a copy
   * @throws Error when the thread ends before it has answered, or no thread is left
   */
  run(job: Job, transfer: ArrayBuffer[] = []): Promise<Result> {
    return this.#threads.reduce((best, thread) => (thread.load < best.load ? thread : best)).run(job, transfer);
  }

  /** Ends all threads; rejects unfinished jobs. */
  async terminate(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

type Unfinished<Result> = {resolve: (result: Result) => void; reject: (error: Error) => void};

class PoolThread<Job, Result> {
  readonly #worker: Worker;
  /** The oldest first: results come in the order of the jobs. */
  readonly #unfinished: Unfinished<Result>[] = [];
  #ended: Error | undefined;
  isUp = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('online', () => {
      this.isUp = true;
    });
    worker.on('message', (result: Result) => {
      this.#unfinished.shift()?.resolve(result);
      // A late answer must not undo that `terminate` keeps the process alive until the thread has ended.
      if (this.#unfinished.length === 0 && this.#ended === undefined) worker.unref();
    });
    worker.on('error', (error) => this.#end(error as Error));
    worker.on('exit', () => this.#end(new Error('a thread has ended')));
    // Last: a listener for messages makes the worker keep the process alive again.
    worker.unref();
  }

  get load(): number {
    return this.#ended === undefined ? this.#unfinished.length : Number.POSITIVE_INFINITY;
  }

  run(job: Job, transfer: ArrayBuffer[]): Promise<Result> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#worker.postMessage(job, transfer);
      this.#unfinished.push({resolve, reject});
      this.#worker.ref();
    });
  }

  async terminate(): Promise<void> {
    this.#end(new Error('the threads were terminated'));
    await this.#worker.terminate();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const {reject} of this.#unfinished.splice(0)) reject(this.#ended);
  }
}

function startThread(file: string, callerUrl: string, workerData: unknown): Worker {
  const ending = callerUrl.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`${file}.${ending}`, callerUrl), {workerData, resourceLimits});
}
