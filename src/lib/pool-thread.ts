import {parentPort, workerData} from 'node:worker_threads';

/** A thread that ran out of memory never leaves its job. */
const mostWaitMs = 10_000;

/**
 * What a pool and one of its threads share, so that the thread never ends within a job: Node aborts the whole process
 * when a thread is stopped just after zlib created a compressor (`close before init`, reproduced with Node 24.21).
 */
export class JobGate {
  /** Two i32: whether the gate is closed, and whether the thread is in a job. */
  readonly cells: Int32Array<SharedArrayBuffer>;

  constructor(cells = new Int32Array(new SharedArrayBuffer(8))) {
    this.cells = cells;
  }

  /** From now on the thread begins no job. */
  close(): void {
    Atomics.store(this.cells, 0, 1);
  }

  /** Blocks until the thread is in no job. */
  waitUntilFree(): void {
    Atomics.wait(this.cells, 1, 1, mostWaitMs);
  }

  /** @returns false when the gate is closed, and the job was not done */
  pass(doJob: () => void): boolean {
    // First: whoever closes the gate afterwards sees that a job is being done.
    Atomics.store(this.cells, 1, 1);
    try {
      if (Atomics.load(this.cells, 0) === 1) return false;
      doJob();
      return true;
    } finally {
      Atomics.store(this.cells, 1, 0);
      Atomics.notify(this.cells, 1);
    }
  }
}

type PoolThreadData = {own: unknown; gate: Int32Array<SharedArrayBuffer>};

/** The `workerData` of a thread of a pool. */
export const poolThreadData = (gate: JobGate, own: unknown): PoolThreadData => ({own, gate: gate.cells});

/** In a thread of a pool: the `workerData` that the pool was given. */
export const threadData = <Data>(): Data => (workerData as PoolThreadData).own as Data;

/** In a thread of a pool: answers each job, in order, until the pool ends the thread. */
export function answerJobs<Job, Result>(answer: (job: Job) => Result): void {
  const port = parentPort!;
  const gate = new JobGate((workerData as PoolThreadData).gate);
  port.on('message', (job: Job) => {
    // Without its port nothing keeps the thread alive.
    if (!gate.pass(() => port.postMessage(answer(job)))) port.close();
  });
}
