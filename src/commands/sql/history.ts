import {appendFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {makeFolderSync} from '../../lib/files.ts';
import {readPlainFile, requirePlainFile} from '../../lib/plain-file.ts';
import {type Lexeme, lexemes} from '../../sql/index.ts';

export const historyLines = 1000;

/**
 * The statements typed at the prompt, now and in earlier sessions, one per line in the file. The history is a
 * convenience, so its failures are ignored.
 */
export class History {
  readonly #file: string;
  #entries: string[];

  constructor(file: string) {
    this.#file = file;
    this.#entries = readEntries(file);
  }

  /** In the order that readline expects. */
  newestFirst(): string[] {
    return [...this.#entries].reverse();
  }

  remember(text: string): void {
    // A statement that contains keys is refused; the history must not store it.
    if (/secret_access_key|session_token/i.test(text)) return;
    const added = asEntries(text);
    this.#entries = [...this.#entries.filter((entry) => !added.includes(entry)), ...added].slice(-historyLines);
    try {
      makeFolderSync(dirname(this.#file), 0o700);
      requirePlainFile(this.#file);
      appendFileSync(this.#file, added.map((entry) => `${entry}\n`).join(''), {mode: 0o600});
    } catch {
      // Ignored: see the class.
    }
  }
}

function readEntries(file: string): string[] {
  try {
    return readPlainFile(file).split('\n').filter(Boolean).slice(-historyLines);
  } catch {
    return [];
  }
}

/**
 * Joins a statement of several lines into one line with the same meaning. Blanks and comments between its words
 * become one blank, because a `--` comment would comment out the rest of the line. If a string or name contains
 * a line break, this is impossible; then each line becomes an entry, as it was typed.
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
