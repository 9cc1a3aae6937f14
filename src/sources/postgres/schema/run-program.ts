import {spawn} from 'node:child_process';
import type {Readable, Writable} from 'node:stream';
import {BkpError} from '../../../errors/index.ts';

/** How long a program may take to end politely. */
const politeMs = 5000;

export type RunOptions = {
  /** The whole environment. Default: that of this process. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Ends it. */
  signal: AbortSignal;
};

/** What a program printed; `fault` if it could not be started, or did not end with status 0. */
export type Ended = {stdout: Buffer; stderr: string; fault: string | undefined};

export type Running = {stdin: Writable; stdout: Readable; ended: Promise<Ended>};

/**
 * Starts a program. Its arguments are visible to every user of the machine.
 * @param keep whether `stdout` is collected; otherwise the caller reads it
 */
export function startProgram(
  file: string,
  args: readonly string[],
  {env, signal}: RunOptions,
  {keep}: {keep: boolean},
): Running {
  const child = spawn(file, args, {...(env === undefined ? {} : {env: env as NodeJS.ProcessEnv}), windowsHide: true});
  const {stdin, stdout, stderr} = child;
  if (stdout === undefined) {
    // Node has no streams of a process for which there were no files left.
    child.on('error', () => {});
    throw new BkpError('PRECONDITION', `${file} could not be started: too many files are open`, {
      next: 'raise the limit of open files (ulimit -n), then give the statement again',
    });
  }
  const output: Buffer[] = [];
  const messages: Buffer[] = [];
  if (keep) stdout.on('data', (bytes: Buffer) => output.push(bytes));
  stderr.on('data', (bytes: Buffer) => messages.push(bytes));
  // A program that ended early is reported by its status.
  stdin.on('error', () => {});
  const end = () => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), politeMs).unref();
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, {once: true});
  const ended = new Promise<Ended>((resolve) => {
    const finish = (fault: string | undefined) => {
      signal.removeEventListener('abort', end);
      resolve({stdout: Buffer.concat(output), stderr: Buffer.concat(messages).toString(), fault});
    };
    child.on('error', ({message}) => finish(message));
    child.on('close', (status, name) => {
      finish(status === 0 ? undefined : `${file} ended with ${name ?? `exit status ${status}`}`);
    });
  });
  return {stdin, stdout, ended};
}
