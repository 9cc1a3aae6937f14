import {BkpError} from '../errors/index.ts';
import type {ByteRange, Key} from './store.ts';

export function objectMissing(key: Key, description: string, cause?: unknown): BkpError {
  return new BkpError('OBJECT_MISSING', `${key} is not in the store ${description}`, {
    ...(cause === undefined ? {} : {cause}),
    context: {key},
  });
}

export function objectTooShort(key: Key, sizeBytes: number, range: ByteRange): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is too short`, {
    cause: `it has ${sizeBytes} bytes, but bytes ${range.start} to ${range.end} were requested`,
    context: {key},
  });
}

/**
 * The store responds and returns other objects, but not this one, however often it is asked.
 * @param failure.check what else may have suffered, for people
 */
export function objectUnreadable(key: Key, {cause, check}: {cause: unknown; check: string}): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is damaged: it cannot be read, but other objects of the store can`, {
    cause,
    next: `check ${check}, then VERIFY the collection: HEAL repairs it from a copy of the store`,
    context: {key},
  });
}

/**
 * The range as it is in an object of this size.
 * @param range absent: all of it
 * @throws BkpError `OBJECT_DAMAGED` if the object ends before the range does, or begins
 */
export function rangeWithin(key: Key, sizeBytes: number, range: ByteRange | undefined): ByteRange {
  if (range === undefined) return {start: 0, end: sizeBytes};
  const {start, end, mayEndEarly} = range;
  if (end <= sizeBytes) return range;
  if (!mayEndEarly || start > sizeBytes) throw objectTooShort(key, sizeBytes, range);
  return {start, end: sizeBytes};
}
