import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';

/** The error for an object whose bytes are not what was written. @param why what is wrong with them */
export function damaged(key: Key, why: string, cause?: unknown): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is damaged: ${why}`, {
    cause,
    next:
      'VERIFY the collection to see what else is damaged; then restore the object from a copy of the store, ' +
      'or take a new full backup',
    context: {key},
  });
}

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
