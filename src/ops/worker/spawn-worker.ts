import {BkpError} from '../../errors/index.ts';
import type {Journal} from '../journal/journal.ts';
import {operationId} from '../kinds.ts';
import type {Operation} from '../operation.ts';
import {failure} from '../outcome.ts';
import type {WaitingWorker} from './waiting-worker.ts';

export type SpawnOptions = {
  journal: Journal;
  /** Queued; the worker claims it. */
  operation: Operation;
  /** Starts a worker, or has done so. */
  worker: () => Promise<WaitingWorker>;
  /** Handed to the worker through a pipe, and nowhere else. */
  input: string;
};

/**
 * Gives an operation to a worker and does not wait for it. The worker has its own session, so it survives the end of
 * the terminal and its Ctrl-C. It inherits no file of this process, so a pipe that reads from this process ends with
 * it. Its output goes to the operation's log.
 * @throws BkpError `WORKER_DEAD` when no process could be started; the operation has ended with this error then
 */
export async function spawnWorker({journal, operation, worker, input}: SpawnOptions): Promise<void> {
  try {
    const pid = await (await worker()).take(input, operation.logFile);
    await journal.assign(operation.number, pid);
  } catch (cause) {
    const id = operationId(operation);
    const error = new BkpError('WORKER_DEAD', `no worker could be started for ${id}`, {
      cause,
      next: 'nothing was done; fix the cause, then give the statement again',
      context: {operation: id},
    });
    await journal.finish(operation.number, failure(error));
    throw error;
  }
}
