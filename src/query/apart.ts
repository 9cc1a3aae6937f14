import {fork} from 'node:child_process';
import type {SQLOutputValue} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import type {AttachedFile} from './attached.ts';
import type {Value} from './catalogue.ts';
import {type Collected, withinLimits} from './collect.ts';
import type {SelectLimits} from './limits.ts';

/** The request to the other process. */
export type Question = {
  /** The database with the rows of the views, as SQLite serializes it; or the path of a database file. */
  database: Uint8Array | string;
  query: string;
  /** Names of the tables and views that may be read; undefined: all of them. */
  tables: ReadonlySet<string> | undefined;
  scalars: ReadonlyMap<string, Value>;
  limits: SelectLimits;
  /** Files with tables of backups, by the names that the query uses. */
  files?: readonly AttachedFile[];
  oldTexts?: boolean;
};

/** With the pid of the parent: the child may start after the parent has ended. */
export type Asked = Question & {parent: number};

/** The response: rows, the limit that was exceeded, or SQLite's error. */
export type Reply = Collected | {error: {message: string; code: string | undefined}};

/**
 * The rows of a statement that may need unlimited time and memory. SQLite runs it in another process, which is killed
 * at the limits: node:sqlite cannot interrupt a statement, and a thread inside of one cannot be terminated either.
 * @param signal also kills it
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
      let printed = '';
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
      child.on('message', (message) => resolve(message as Reply));
      child.on('error', fail);
      child.on('close', (status, by) => {
        if (signal?.aborted) fail(interrupted());
        else if (isLate) resolve({exceeded: 'seconds'});
        // The child prints this before it kills itself; a system that is out of memory kills it without a word.
        else if (printed === outOfMemory || by === 'SIGKILL') resolve({exceeded: 'mebibytes'});
        else fail(new Error(`the process of the SELECT ended with ${by ?? status}`));
      });
      child.send({...question, parent: process.pid} satisfies Asked, (error) => {
        // If the child has ended, the `close` handler reports it.
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
