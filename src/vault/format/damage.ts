import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';

/** An object that is there and is not what was written. `why` says what is wrong with its bytes. */
export function damaged(key: Key, why: string, cause?: unknown): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is damaged: ${why}`, {
    ...(cause === undefined ? {} : {cause}),
    next: 'VERIFY the collection to see what else is; then bring the object back from a copy of the store, or take a new full backup',
    context: {key},
  });
}

/** True for the two codes that say the store's content is at fault, not the way to it. */
export function isDamage(error: unknown): error is BkpError {
  return error instanceof BkpError && (error.code === 'OBJECT_DAMAGED' || error.code === 'OBJECT_MISSING');
}
