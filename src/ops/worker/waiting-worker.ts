import type {ChildProcess} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {closeSync, readdirSync, readFile, renameSync, rmSync, statSync} from 'node:fs';
import type {Socket} from 'node:net';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';
import {requirePlainFile} from '../../lib/plain-file.ts';
import {openLogFile} from '../log-file.ts';
import {type DetachedOptions, spawnDetached} from './start-detached.ts';

export type WaitingOptions = Omit<DetachedOptions, 'output'> & {
  /** Where the logs of operations are. */
  logsDir: string;
};

/** The file through which a worker gets its input. */
const inputFile = 3;

/** In another thread: this one may have something to do meanwhile. */
const read = promisify(readFile);

const waitingPrefix = 'worker-';
/** A log of a waiting worker that is older belongs to one that was killed together with the process that started it. */
const abandonedAfterMs = 24 * 3600_000;

/**
 * A worker that has no operation yet: Node starts and bkp loads while a statement is being checked. Its last argument
 * is the file of its log, which the operation's log becomes. If it gets no input, because it is dismissed or because
 * the process that started it ends, it removes that file and ends.
 */
export class WaitingWorker {
  readonly #child: ChildProcess & {pid: number};
  readonly #input: Socket;
  readonly #logFile: string;
  #isTaken = false;

  private constructor(child: ChildProcess & {pid: number}, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.#input = child.stdio[inputFile] as Socket;
    // A worker that ended at once reports that itself.
    this.#input.on('error', () => {});
    // This process may end before it has an operation.
    child.unref();
    this.#input.unref();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Throws if no process could be started. */
  static async start({logsDir, args, ...options}: WaitingOptions): Promise<WaitingWorker> {
    const logFile = join(logsDir, `${waitingPrefix}${randomUUID()}.log`);
    const output = openLogFile(logFile);
    try {
      return new WaitingWorker(await spawnDetached({...options, args: [...args, logFile], output}, 'pipe'), logFile);
    } catch (error) {
      rmSync(logFile, {force: true});
      throw error;
    } finally {
      closeSync(output);
    }
  }

  /**
   * Gives the worker what it waits for. The kernel keeps that, also when this process has ended.
   * @param logFile of the operation, for all that the worker prints
   * @returns the worker's pid
   * @throws NotAFile if something else is in the place of the log
   */
  async take(input: string, logFile: string): Promise<number> {
    try {
      requirePlainFile(logFile);
      renameSync(this.#logFile, logFile);
    } catch (error) {
      this.dismiss();
      throw error;
    }
    this.#isTaken = true;
    await new Promise<void>((resolve) => this.#input.end(input, () => resolve()));
    this.#input.destroy();
    return this.pid;
  }

  /** Ends the worker if it got nothing to do. */
  dismiss(): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#child.kill('SIGKILL');
    this.#input.destroy();
    rmSync(this.#logFile, {force: true});
  }
}

/**
 * The other side: waits for the input of this process.
 * @param logFile the last argument of the process
 * @returns undefined if there is nothing to do
 */
export async function awaitInput(logFile: string, nowMs: number): Promise<string | undefined> {
  const reading = read(inputFile, 'utf8');
  removeAbandoned(dirname(logFile), nowMs);
  const input = await reading;
  // No child of this process gets it.
  closeSync(inputFile);
  if (input !== '') return input;
  rmSync(logFile, {force: true});
  return undefined;
}

function removeAbandoned(logsDir: string, nowMs: number): void {
  for (const name of readdirSync(logsDir)) {
    if (!name.startsWith(waitingPrefix)) continue;
    const file = join(logsDir, name);
    const {mtimeMs} = statSync(file, {throwIfNoEntry: false}) ?? {mtimeMs: nowMs};
    if (nowMs - mtimeMs > abandonedAfterMs) rmSync(file, {force: true});
  }
}
