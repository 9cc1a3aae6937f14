import {once} from 'node:events';
import {closeSync} from 'node:fs';
import {BkpError} from '../../errors/index.ts';
import type {Journal} from '../journal/journal.ts';
import {operationId} from '../kinds.ts';
import {openLogFile} from '../log-file.ts';
import type {Operation} from '../operation.ts';
import {failure} from '../outcome.ts';

export type SpawnOptions = {
  journal: Journal;
  /** Queued; the worker claims it. */
  operation: Operation;
  /** The JavaScript file that Node runs, and its arguments. */
  entry: string;
  args: readonly string[];
  /** The worker's whole environment. */
  env: Readonly<Record<string, string | undefined>>;
  /** Default `/`, so that no mounted disk is kept busy. */
  cwd?: string;
};

/**
 * Starts the worker of an operation and does not wait for it. The worker has its own session, so it survives the end of
 * the terminal and its Ctrl-C. It inherits no file of this process, so a pipe that reads from this process ends with
 * it. Its output goes to the operation's log.
 * @throws BkpError `WORKER_DEAD` when no process could be started; the operation has ended with this error then
 */
export async function spawnWorker(options: SpawnOptions): Promise<void> {
  const {journal, operation, entry, args, env, cwd = '/'} = options;
  let output: number | undefined;
  try {
    output = openLogFile(operation.logFile);
    const pid = await startDetached({entry, args, env, cwd, output});
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
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

export type DetachedOptions = Required<Pick<SpawnOptions, 'entry' | 'args' | 'env' | 'cwd'>> & {
  /** An open file, for what the process prints. */
  output: number;
};

/** Starts a process in the background. @returns its pid; throws if it could not be started */
export async function startDetached({entry, args, env, cwd, output}: DetachedOptions): Promise<number> {
  // Loaded here, because most commands start no process.
  const {spawn} = await import('node:child_process');
  const worker = spawn(process.execPath, [entry, ...args], {
    detached: true,
    env,
    cwd,
    stdio: ['ignore', output, output],
    windowsHide: true,
  });
  if (worker.pid === undefined) {
    const [error] = await once(worker, 'error');
    throw error;
  }
  worker.unref();
  return worker.pid;
}
