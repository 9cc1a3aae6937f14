import {createRequire} from 'node:module';

// Everything that is not plain printable ASCII.
const unusual = /[^\x20-\x7e]/;
// Control characters, line and paragraph separators, lone surrogates, and the marks that change the direction of
// text: in a name they could move the cursor, forge a line or hide what follows.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu;

const short: Readonly<Record<string, string>> = {'\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0'};

const escaped = (character: string) => {
  const code = character.codePointAt(0)!.toString(16);
  return short[character] ?? (code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`);
};

/** The text without characters that a terminal would obey: they become `\n`, `\x1b`, `\u202e`. */
export function printable(text: string): string {
  return unusual.test(text) ? text.replace(unprintable, escaped) : text;
}

/** The same for a text of several lines: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(unprintable, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** Without the case of ASCII letters, the only ones that SQLite folds in names. */
export function foldAscii(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** A word in quotes that every POSIX shell takes as it is. */
export const shellQuoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

let stringWidth: ((text: string) => number) | undefined;

/** Columns that the text takes on a terminal; wide characters take two. */
export function widthOf(text: string): number {
  if (!unusual.test(text)) return text.length;
  // Its tables of Unicode take longer to load (50 ms) than Node itself; most output is ASCII and does not need them.
  stringWidth ??= createRequire(import.meta.url)('string-width').default as (text: string) => number;
  return stringWidth(text);
}
