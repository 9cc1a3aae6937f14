import {BkpError} from '../errors/index.ts';
import type {Key, PutOptions, Store} from './store.ts';

/**
 * Puts an object and reads it back, because a server may confirm a put and keep nothing of it. For each object whose
 * loss would be noticed too late. Packs and indexes are seen in a listing instead, many in one request.
 * @returns as `Store.put`; an object that `exists` is another writer's, and not read
 * @throws BkpError what {@link requireWritten} throws, and the errors of the store
 */
export async function putAndRead(
  store: Store,
  key: Key,
  bytes: Uint8Array,
  options: PutOptions,
): Promise<'written' | 'exists'> {
  const outcome = await store.put(key, bytes, options);
  if (outcome === 'written') await requireWritten(store, key, bytes);
  return outcome;
}

/** @throws BkpError `STORE_UNAVAILABLE` if the object is missing | `OBJECT_DAMAGED` if it has other bytes */
export async function requireWritten(store: Store, key: Key, bytes: Uint8Array): Promise<void> {
  const found = await store.get(key).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_MISSING') throw notKept(key);
    throw error;
  });
  if (Buffer.compare(found, bytes) !== 0) throw notWritten(key);
}

/** For an object that has other bytes than those that were put. */
export function notWritten(key: Key): BkpError {
  return new BkpError('OBJECT_DAMAGED', `${key} is not what was just written`, {
    cause: 'another process writes to the same store, or the store is faulty',
    next: checkNext,
    context: {key},
  });
}

/** For an object whose put the store confirmed, and that it then did not have. */
export function notKept(key: Key): BkpError {
  return new BkpError('STORE_UNAVAILABLE', `the store confirmed that it had written ${key}, but does not have it`, {
    cause: 'another program removes objects from the same store, or the store is faulty',
    next: checkNext,
    retryable: true,
    context: {key},
  });
}

const checkNext = 'bkp store check, then give the command again';
