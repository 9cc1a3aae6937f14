import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {keysPrefix} from './key.ts';

/**
 * The error for an object whose bytes are not what was written.
 * @param why what is wrong with them
 * @param next default: what helps against most damage of such an object
 */
export function damaged(
  key: Key,
  why: string,
  cause?: unknown,
  next = key.startsWith(keysPrefix) ? nextOfKeys : nextOfOthers,
): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is damaged: ${why}`, {cause, next, context: {key}});
}

const nextOfOthers =
  'VERIFY the collection to see what else is damaged; then restore the object from a copy of the store, ' +
  'or take a new full backup';

/** Without the keys, VERIFY opens nothing either. */
const nextOfKeys =
  'use a secret of another slot, or bring back the objects below keys/: bkp vault key import FILE, or from a copy of ' +
  'the store';

/** True for the two codes that blame the content of the store, not the access to it. */
export function isDamage(error: unknown): error is BkpError {
  return error instanceof BkpError && (error.code === 'OBJECT_DAMAGED' || error.code === 'OBJECT_MISSING');
}

/** @returns undefined if the object is damaged or missing */
export async function unlessDamaged<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
