import {appendFileSync, mkdirSync, readFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {type Lexeme, lexemes} from '../../sql/index.ts';

export const historyLines = 1000;

/**
 * The statements typed at the prompt, here and earlier; one a line in the file. A convenience: its faults are
 * no errors.
 */
export class History {
  readonly #file: string;
  #entries: string[];

  constructor(file: string) {
    this.#file = file;
    this.#entries = readEntries(file);
  }

  /** As readline wants them. */
  newestFirst(): string[] {
    return [...this.#entries].reverse();
  }

  remember(text: string): void {
    // A statement with keys in it is refused; the history must not keep them.
    if (/secret_access_key|session_token/i.test(text)) return;
    const added = asEntries(text);
    this.#entries = [...this.#entries.filter((entry) => !added.includes(entry)), ...added].slice(-historyLines);
    try {
      mkdirSync(dirname(this.#file), {recursive: true, mode: 0o700});
      appendFileSync(this.#file, added.map((entry) => `${entry}\n`).join(''), {mode: 0o600});
    } catch {
      // See above.
    }
  }
}

function readEntries(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).slice(-historyLines);
  } catch {
    return [];
  }
}

/**
 * A statement of many lines as one line that means the same. What stands between its words, blanks and comments, is one
 * blank then: a `--` comment would swallow all that followed it. A string or a name that holds a line break itself has
 * no such line; then the lines are entries of their own, as they were typed.
 */
export function asEntries(text: string): string[] {
  if (!text.includes('\n')) return [text];
  const pieces = lexemes(text);
  if (pieces.some(({start, end}) => text.slice(start, end).includes('\n'))) return text.split('\n').filter(Boolean);
  const blankBefore = (piece: Lexeme, at: number) => at > 0 && pieces[at - 1]!.end < piece.start;
  const line = pieces
    .map((piece, at) => (blankBefore(piece, at) ? ' ' : '') + text.slice(piece.start, piece.end))
    .join('');
  return [line];
}
