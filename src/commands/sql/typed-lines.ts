import {createInterface, type Interface} from 'node:readline';
import {restoreOnHangUp} from '../../lib/hang-up.ts';
import type {CommandDeps} from '../deps.ts';

/** One input at the prompt: a line, Ctrl-C, or the end of input (Ctrl-D, a closed terminal). */
export type Typed = {kind: 'line'; text: string} | {kind: 'interrupt'} | {kind: 'end'};

type Options = Pick<CommandDeps, 'stdin' | 'stdout' | 'stderr' | 'env'> & {
  /** Newest first; called for every prompt. */
  history: () => string[];
  historyLines: number;
  complete: (line: string) => [string[], string];
};

/**
 * Reads lines that a user types. Between two calls of `next` readline keeps the terminal, so that a pasted text
 * of many lines arrives complete. `release` hands the terminal to a live view or the shell until the next call
 * of `next`.
 *
 * A terminal that can move its cursor is read key by key. Any other terminal (TERM=dumb, output into a pipe)
 * edits lines itself, and its Ctrl-C is a signal.
 */
export class TypedLines {
  readonly #options: Options;
  readonly #output: NodeJS.WriteStream;
  readonly #byKey: boolean;
  #interface: Interface | undefined;
  /** Lines that `next` has not returned yet. */
  #waiting: string[] = [];
  /** The unfinished line that was typed before `release`. */
  #begun = '';
  #isInterrupted = false;
  #isEnded = false;
  #wake = () => {};

  constructor(options: Options) {
    this.#options = options;
    const {stdin, stdout, stderr, env} = options;
    // When stdout is redirected, a prompt among the rows would be read as a row.
    this.#output = stdout.isTTY ? stdout : stderr;
    this.#byKey = Boolean(stdin.isTTY && this.#output.isTTY) && env.TERM !== 'dumb';
  }

  /** @param signal Ctrl-C of a terminal that is not read key by key */
  async next(prompt: string, signal: AbortSignal): Promise<Typed> {
    if (this.#typed() === undefined) await this.#ask(prompt, signal);
    // Checked after one chunk of input has been read completely: a Ctrl-C in it drops the lines before it.
    return this.#typed(true) ?? {kind: 'end'};
  }

  #typed(take = false): Typed | undefined {
    if (this.#isInterrupted) {
      this.#isInterrupted = !take;
      return {kind: 'interrupt'};
    }
    const text = take ? this.#waiting.shift() : this.#waiting[0];
    if (text !== undefined) return {kind: 'line', text};
    return this.#isEnded ? {kind: 'end'} : undefined;
  }

  async #ask(prompt: string, signal: AbortSignal): Promise<void> {
    this.#interface ??= this.#open();
    const reader = this.#interface;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const interrupt = () => this.#interrupt();
    const release = restoreOnHangUp(() => this.#close());
    signal.addEventListener('abort', interrupt);
    reader.setPrompt(prompt);
    reader.prompt();
    if (this.#begun !== '') reader.write(this.#begun);
    this.#begun = '';
    await woken;
    signal.removeEventListener('abort', interrupt);
    release();
  }

  /** Releases the terminal. What was typed ahead stays for the next prompt. */
  release(): void {
    const reader = this.#interface;
    if (reader === undefined) return;
    this.#begun = reader.line ?? '';
    // The next prompt shows it again.
    if (this.#begun !== '' && this.#byKey) reader.write(null, {ctrl: true, name: 'u'});
    this.#close();
  }

  /** Drops all input from before a Ctrl-C. */
  forget(): void {
    this.#waiting = [];
    this.#begun = '';
    // While readline is reading, it has already consumed the whole input.
    if (this.#interface === undefined) while (this.#options.stdin.read() !== null);
  }

  #open(): Interface {
    const {stdin, history, historyLines, complete} = this.#options;
    // A live view leaves stdin with unref; without ref the process would exit.
    stdin.ref?.();
    const reader = createInterface({
      input: stdin,
      output: this.#output,
      terminal: this.#byKey,
      history: history(),
      historySize: historyLines,
      removeHistoryDuplicates: true,
      completer: complete,
    });
    reader.on('line', (text) => {
      this.#waiting.push(text);
      this.#wake();
    });
    reader.on('SIGINT', () => {
      // Moves the cursor to the end of the input, so that ^C does not overwrite it.
      reader.write(null, {ctrl: true, name: 'e'});
      this.#interrupt();
    });
    reader.on('close', () => {
      if (this.#interface !== reader) return;
      this.#interface = undefined;
      this.#isEnded = true;
      this.#wake();
    });
    return reader;
  }

  /** Closes the reader to drop the unfinished line: only a new reader is certain to have no trace of it. */
  #interrupt(): void {
    this.#output.write('^C\n');
    this.#close();
    this.forget();
    this.#isInterrupted = true;
    this.#wake();
  }

  #close(): void {
    const reader = this.#interface;
    this.#interface = undefined;
    reader?.close();
  }
}
