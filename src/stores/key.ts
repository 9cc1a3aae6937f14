import {assert} from '../errors/index.ts';
import type {Key} from './store.ts';

/** One part of a key. Names of the directory store's temporary files contain a `#`, so no key refers to one. */
const part = /^[A-Za-z0-9._~%-]+$/;

/** The limit of common file systems for a name. */
const longestPart = 255;

export const isPart = (text: string) => part.test(text) && text !== '.' && text !== '..' && text.length <= longestPart;

/** @returns true if `text` is a key; a key never leads out of the store's root */
export function isKey(text: string): text is Key {
  return text.split('/').every(isPart);
}

/** An invalid key is a bug in bkp: stop before touching the store. */
export function assertKey(key: Key): void {
  assert(isKey(key), `${JSON.stringify(key)} is not a key`);
}

/** The same for the prefix of `list`: empty, or a key followed by `/`. */
export function assertPrefix(prefix: string): void {
  assert(
    prefix === '' || (prefix.endsWith('/') && isKey(prefix.slice(0, -1))),
    `${JSON.stringify(prefix)} is not a prefix`,
  );
}
