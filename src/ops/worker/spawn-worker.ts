import {once} from 'node:events';
import {closeSync} from 'node:fs';
import type {Writable} from 'node:stream';
import {BkpError} from '../../errors/index.ts';
import {withoutVaultSecrets} from '../../lib/vault-secrets.ts';
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
  /** Handed to the worker through a pipe, its file 3, and nowhere else. */
  input?: string | undefined;
};

/**
 * Starts the worker of an operation and does not wait for it. The worker has its own session, so it survives the end of
 * the terminal and its Ctrl-C. It inherits no file of this process, so a pipe that reads from this process ends with
 * it. Its output goes to the operation's log.
 * @throws BkpError `WORKER_DEAD` when no process could be started; the operation has ended with this error then
 */
export async function spawnWorker(options: SpawnOptions): Promise<void> {
  const {journal, operation, entry, args, env, cwd = '/', input} = options;
  let output: number | undefined;
  try {
    output = openLogFile(operation.logFile);
    const pid = await startDetached({entry, args, env, cwd, output, input});
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
  input?: string | undefined;
};

/** The file through which a worker gets its input. */
export const inputFile = 3;

/** Starts a process in the background. @returns its pid; throws if it could not be started */
export async function startDetached({entry, args, env, cwd, output, input}: DetachedOptions): Promise<number> {
  // Loaded here, because most commands start no process.
  const {spawn} = await import('node:child_process');
  const worker = spawn(process.execPath, [entry, ...args], {
    detached: true,
    env: withoutVaultSecrets(env) as NodeJS.ProcessEnv,
    cwd,
    stdio: ['ignore', output, output, ...(input === undefined ? [] : ['pipe' as const])],
    windowsHide: true,
  });
  if (worker.pid === undefined) {
    const [error] = await once(worker, 'error');
    throw error;
  }
  if (input !== undefined) await handOver(worker.stdio[inputFile] as Writable, input);
  worker.unref();
  return worker.pid;
}

/** The kernel keeps what was written for the worker, also when this process has ended. */
async function handOver(pipe: Writable, input: string): Promise<void> {
  // A worker that ended at once reports that itself.
  pipe.on('error', () => {});
  await new Promise<void>((resolve) => pipe.end(input, () => resolve()));
  pipe.destroy();
}
