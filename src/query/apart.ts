import {fork} from 'node:child_process';
import type {SQLOutputValue} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import type {Value} from './catalogue.ts';
import {type Collected, withinLimits} from './collect.ts';
import type {SelectLimits} from './limits.ts';

/** All that the other process is told. */
export type Question = {
  /** The database with the rows of the views, as SQLite serializes it. */
  database: Uint8Array;
  query: string;
  /** Names of what may be read. */
  tables: ReadonlySet<string>;
  scalars: ReadonlyMap<string, Value>;
  limits: SelectLimits;
};

/** Who asks, by number: the other process may begin when this one has ended already. */
export type Asked = Question & {parent: number};

/** What it answers: rows, which limit it met, or SQLite's error. */
export type Reply = Collected | {error: {message: string; code: string | undefined}};

/**
 * The rows of a statement that may take for ever, and any memory: SQLite runs it in another process, which is ended when
 * it has taken enough. node:sqlite has no way to end a statement, and a thread that is in one cannot be ended either.
 * @param signal ends it too
 * @throws a limit's error | `INTERRUPTED` | SQLite's error
 */
export async function runApart(question: Question, signal?: AbortSignal): Promise<readonly SQLOutputValue[][]> {
  if (signal?.aborted) throw interrupted();
  const {limits} = question;
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const child = fork(new URL(`select-process.${ending}`, import.meta.url), [], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, limits.seconds * 1000);
  try {
    const reply = await new Promise<Reply>((resolve, fail) => {
      let word = '';
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        word += text;
      });
      child.on('message', (message) => resolve(message as Reply));
      child.on('error', fail);
      child.on('close', (status, by) => {
        if (signal?.aborted) fail(interrupted());
        else if (isLate) resolve({exceeded: 'seconds'});
        // Its last word before it ended itself; a system that is out of memory kills without one.
        else if (word === outOfMemory || by === 'SIGKILL') resolve({exceeded: 'mebibytes'});
        else fail(new Error(`the process of the SELECT ended with ${by ?? status}`));
      });
      child.send({...question, parent: process.pid} satisfies Asked, (error) => {
        // Then it has ended, and that is told above.
        if (error !== null && child.exitCode === null && child.signalCode === null) kill();
      });
    });
    if (!('error' in reply)) return withinLimits(reply, limits);
    const {message, code} = reply.error;
    throw Object.assign(new Error(message), {code});
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
    if (child.exitCode === null && child.signalCode === null) kill();
  }
}

export const outOfMemory = 'memory';

function interrupted(): BkpError {
  return new BkpError('INTERRUPTED', 'the SELECT was interrupted');
}
