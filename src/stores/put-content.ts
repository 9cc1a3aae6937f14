import {BkpError} from '../errors/index.ts';
import type {Key, Store} from './store.ts';

/**
 * Puts an object that is named by its content. An existing one is equal or damaged; a damaged one is overwritten, which
 * repairs it.
 */
export async function putContent(store: Store, key: Key, bytes: Uint8Array): Promise<void> {
  if ((await store.put(key, bytes, {ifAbsent: true, retained: true})) === 'written') return;
  const found = await store.get(key).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return undefined;
    throw error;
  });
  if (found === undefined || Buffer.compare(found, bytes) !== 0) await store.put(key, bytes, {retained: true});
}
