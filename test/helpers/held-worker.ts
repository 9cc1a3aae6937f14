import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {setTimeout as sleep} from 'node:timers/promises';
import type {Desk} from './desk.ts';
import {eventually} from './eventually.ts';

// On a busy machine an operation may end before the other processes of a test have started. So the worker is stopped
// (SIGSTOP) as soon as it runs, and continued when the test has made its checks.

export type OperationRow = {number: number; state: string; pid: number | null; bytes: number};

/** All operations of a home, oldest first. */
export function operationRows(home: string): OperationRow[] {
  const file = join(home, 'journal.db');
  if (!existsSync(file)) return [];
  const db = new DatabaseSync(file, {readOnly: true, timeout: 10_000});
  try {
    const query = 'SELECT number, state, worker_pid AS pid, bytes_done AS bytes FROM operation ORDER BY number';
    return db.prepare(query).all() as OperationRow[];
  } finally {
    db.close();
  }
}

/**
 * Waits until the newest operation runs.
 * @param after only an operation with a higher number counts
 * @returns its worker's process
 */
export async function meet(home: string, after: number): Promise<number> {
  const newest = await eventually(() => {
    const row = operationRows(home).at(-1);
    if (row === undefined || row.number <= after || row.state === 'queued') throw new Error('no operation has begun');
    return row;
  });
  if (newest.state === 'done') throw new Error('the operation was done before the test could meet it');
  return newest.pid!;
}

export type Hold = {
  /** Starts the operation. */
  give: () => Promise<unknown>;
  /** Default `begun`; `moving`: some of the data has been moved. */
  at?: 'begun' | 'moving';
};

/** Starts an operation, and keeps its worker stopped while `meanwhile` runs. */
export async function whileHeld<T>(
  {home}: Pick<Desk, 'home'>,
  {give, at = 'begun'}: Hold,
  meanwhile: (pid: number) => Promise<T>,
): Promise<T> {
  const before = operationRows(home).at(-1)?.number ?? 0;
  const hold = async () => {
    const pid = await meet(home, before);
    await stop(home, pid);
    if (at === 'moving') await untilMoving(home, pid);
    return pid;
  };
  // Concurrently: when the statement returns, the work may be done.
  const [pid] = await Promise.all([hold(), give()]);
  try {
    return await meanwhile(pid);
  } finally {
    continueWorker(pid);
  }
}

/**
 * The worker tells its bytes a few times a second, and all its work may take less: so it gets its time in small
 * pieces.
 */
async function untilMoving(home: string, pid: number): Promise<void> {
  while (operationRows(home).at(-1)!.bytes === 0) {
    await sleep(300);
    continueWorker(pid);
    await sleep(10);
    await stop(home, pid);
  }
}

/** Stops the worker, but not during a write to the journal: all other processes would wait for it. */
async function stop(home: string, pid: number): Promise<void> {
  await eventually(() => {
    process.kill(pid, 'SIGSTOP');
    const db = new DatabaseSync(join(home, 'journal.db'), {timeout: 0});
    try {
      db.exec('BEGIN IMMEDIATE; ROLLBACK');
    } catch (error) {
      continueWorker(pid);
      throw error;
    } finally {
      db.close();
    }
  });
}

function continueWorker(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    // The test has ended the worker.
    if ((error as {code?: string}).code !== 'ESRCH') throw error;
  }
}
