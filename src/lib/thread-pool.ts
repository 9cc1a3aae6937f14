import {Worker} from 'node:worker_threads';
import {JobGate, poolThreadData} from './pool-thread.ts';

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
 * - No thread is stopped within a job, neither by `end` nor when the process exits: see JobGate.
 * - A thread that fails to start, throws or exits rejects its unfinished jobs and is not replaced: what ended
 *   it would most likely end its successor too. The owner decides whether the other threads are still worth
 *   using.
 */
export class ThreadPool<Job, Result> {
  readonly #threads: PoolThread<Job, Result>[];

  /**
   * @param file a file beside the caller's, without its ending: a source file, or built into dist by
   *   scripts/bundle.js; it calls `answerJobs` of pool-thread.ts
   * @param callerUrl `import.meta.url` of the caller
   * @param options.workerData what `threadData` returns in the threads
   */
  constructor(file: string, callerUrl: string, {threads, workerData}: {threads: number; workerData?: unknown}) {
    this.#threads = Array.from({length: threads}, () => new PoolThread(urlBeside(callerUrl, file), workerData));
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

  /** Rejects unfinished jobs, and ends each thread after the job that it is in. */
  async end(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}

/** The gates of all threads that have not ended. */
const living = new Set<JobGate>();

type Unfinished<Result> = {resolve: (result: Result) => void; reject: (error: Error) => void};

class PoolThread<Job, Result> {
  readonly #worker: Worker;
  readonly #gate = new JobGate();
  /** The oldest first: results come in the order of the jobs. */
  readonly #unfinished: Unfinished<Result>[] = [];
  /** Why it takes no more jobs. */
  #ended: Error | undefined;
  readonly #exited: Promise<unknown>;
  isUp = false;

  constructor(file: URL, workerData: unknown) {
    if (living.size === 0) process.once('exit', waitForJobs);
    living.add(this.#gate);
    const worker = new Worker(file, {workerData: poolThreadData(this.#gate, workerData), resourceLimits});
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('online', () => {
      this.isUp = true;
    });
    worker.on('message', (result: Result) => {
      this.#unfinished.shift()?.resolve(result);
      // A late answer must not undo that `end` keeps the process alive until the thread has ended.
      if (this.#unfinished.length === 0 && this.#ended === undefined) worker.unref();
    });
    worker.on('error', (error) => this.#end(error as Error));
    worker.on('exit', () => {
      this.#end(new Error('a thread has ended'));
      living.delete(this.#gate);
      if (living.size === 0) process.off('exit', waitForJobs);
    });
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

  async end(): Promise<void> {
    this.#end(new Error('the threads have ended'));
    this.#gate.close();
    this.#worker.ref();
    // Any message: the thread looks at the gate when one comes.
    this.#worker.postMessage(undefined);
    await this.#exited;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const {reject} of this.#unfinished.splice(0)) reject(this.#ended);
  }
}

/** A process that exits stops its threads wherever they are. */
function waitForJobs(): void {
  for (const gate of living) gate.close();
  for (const gate of living) gate.waitUntilFree();
}

function urlBeside(callerUrl: string, file: string): URL {
  const ending = callerUrl.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`${file}.${ending}`, callerUrl);
}
