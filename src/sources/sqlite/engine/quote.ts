import {foldAscii} from '../../../lib/text.ts';

/** A quoted identifier; the name may contain any character. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** SQLite ignores the case of ASCII letters in names, and of no others. */
export const foldName = foldAscii;
