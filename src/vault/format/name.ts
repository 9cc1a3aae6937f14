import {hashHex} from './hash.ts';

/** Longest encoded name that is not cut. File systems allow 255 bytes, and a suffix may be added. */
const longestBytes = 180;
const cutBytes = 140;
const hashDigits = 32;

/**
 * Encodes a name that a user chose (a collection, an instance) as one part of a key. Letters, digits, `_` and
 * `-` stay, other bytes become `%XX`. A result that is too long is cut and gets the hash of the name appended.
 * Different names never become the same part.
 */
export function encodeName(name: string): string {
  let encoded = '';
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (encoded.length <= longestBytes) return encoded;
  // Do not cut within a `%XX`.
  const cut = encoded.slice(0, cutBytes).replace(/%[0-9A-F]?$/, '');
  return `${cut}~${hashHex(Buffer.from(name, 'utf8')).slice(0, hashDigits)}`;
}
