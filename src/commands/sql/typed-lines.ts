import {createInterface, type Interface} from 'node:readline';
import type {CommandDeps} from '../deps.ts';

/** What a person did at the prompt: typed a line, pressed Ctrl-C, or ended their input (Ctrl-D, a closed terminal). */
export type Typed = {kind: 'line'; text: string} | {kind: 'interrupt'} | {kind: 'end'};

type Options = Pick<CommandDeps, 'stdin' | 'stdout' | 'stderr' | 'env'> & {
  /** Newest first; read whenever a prompt appears. */
  history: () => string[];
  historyLines: number;
  complete: (line: string) => [string[], string];
};

/**
 * Lines from a person. Between two calls of `next` the terminal stays with readline, so that a pasted text of
 * many lines arrives whole; `release` gives it to somebody else, a live view or the shell, until the next
 * `next`.
 *
 * A terminal that can move its cursor is read key by key. Any other one (TERM=dumb, output into a pipe) edits
 * lines by itself, and its Ctrl-C is a signal.
 */
export class TypedLines {
  readonly #options: Options;
  readonly #output: NodeJS.WriteStream;
  readonly #byKey: boolean;
  #interface: Interface | undefined;
  /** Lines that nobody has asked for yet. */
  #waiting: string[] = [];
  /** The beginning of a line that was typed before `release`. */
  #begun = '';
  #isInterrupted = false;
  #isEnded = false;
  #wake = () => {};

  constructor(options: Options) {
    this.#options = options;
    const {stdin, stdout, stderr, env} = options;
    // Rows go where they are sent, and a prompt among them would be read as one of them.
    this.#output = stdout.isTTY ? stdout : stderr;
    this.#byKey = Boolean(stdin.isTTY && this.#output.isTTY) && env.TERM !== 'dumb';
  }

  /** @param signal Ctrl-C of a terminal that is not read key by key */
  async next(prompt: string, signal: AbortSignal): Promise<Typed> {
    if (this.#typed() === undefined) await this.#ask(prompt, signal);
    // Looked at when all of one piece has been read: a Ctrl-C in it drops the lines before it.
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
    signal.addEventListener('abort', interrupt);
    reader.setPrompt(prompt);
    reader.prompt();
    if (this.#begun !== '') reader.write(this.#begun);
    this.#begun = '';
    await woken;
    signal.removeEventListener('abort', interrupt);
  }

  /** Gives the terminal away. What was typed ahead stays for the next prompt. */
  release(): void {
    const reader = this.#interface;
    if (reader === undefined) return;
    this.#begun = reader.line ?? '';
    // It is shown again behind its prompt.
    if (this.#begun !== '' && this.#byKey) reader.write(null, {ctrl: true, name: 'u'});
    this.#close();
  }

  /** Nothing that was typed before a Ctrl-C counts after it. */
  forget(): void {
    this.#waiting = [];
    this.#begun = '';
    // Not while readline reads it: that one has taken all there is.
    if (this.#interface === undefined) while (this.#options.stdin.read() !== null);
  }

  #open(): Interface {
    const {stdin, history, historyLines, complete} = this.#options;
    // A live view lets go of it with unref: then nothing would keep the process.
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
      // To the end of what was typed, which stays readable above.
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

  /** Closing drops the line that was being typed: only a new reader is certain to know nothing of it. */
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
