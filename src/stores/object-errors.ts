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
