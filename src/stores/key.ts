import {assert} from '../errors/index.ts';
import type {Key} from './store.ts';

/** One part of a key. Temporary files of the directory store hold a `#`, so no key ever names one. */
const part = /^[A-Za-z0-9._~%-]+$/;

/** No file system that bkp meets takes a longer name. */
const longestPart = 255;

const isPart = (text: string) => part.test(text) && text !== '.' && text !== '..' && text.length <= longestPart;

/** @returns true when `text` is a key: it then never leads out of the store's root. */
export function isKey(text: string): text is Key {
  return text.split('/').every(isPart);
}

/** A key that is none is a fault of ours: stop before the store is touched. */
export function assertKey(key: Key): void {
  assert(isKey(key), `${JSON.stringify(key)} is not a key`);
}

/** The same for what `list` is given: empty, or a key and `/`. */
export function assertPrefix(prefix: string): void {
  assert(
    prefix === '' || (prefix.endsWith('/') && isKey(prefix.slice(0, -1))),
    `${JSON.stringify(prefix)} is not a prefix`,
  );
}
