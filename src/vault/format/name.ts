import {hashHex} from './hash.ts';

/** Longest part of a key that a name becomes whole; file systems end at 255, and a suffix may be added. */
const longestBytes = 180;
const cutBytes = 140;
const hashDigits = 32;

/**
 * A name that a person chose (a collection, an instance) as one part of a key: letters, digits, `_` and `-` stay, all else becomes
 * `%XX`; what gets too long is cut, and the name's hash tells it from others. Two names never become one part.
 */
export function encodeName(name: string): string {
  let encoded = '';
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (encoded.length <= longestBytes) return encoded;
  // Not within a `%XX`.
  const cut = encoded.slice(0, cutBytes).replace(/%[0-9A-F]?$/, '');
  return `${cut}~${hashHex(Buffer.from(name, 'utf8')).slice(0, hashDigits)}`;
}
