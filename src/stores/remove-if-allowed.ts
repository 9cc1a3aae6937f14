import {BkpError} from '../errors/index.ts';
import type {Key, Store} from './store.ts';

/**
 * Removes objects that are no longer needed but do no harm if they stay.
 * @returns false if these credentials may not remove objects, or a lock still protects one of them
 */
export async function removeIfAllowed(store: Pick<Store, 'delete'>, keys: readonly Key[]): Promise<boolean> {
  if (keys.length === 0) return true;
  try {
    return (await store.delete(keys)).length === 0;
  } catch (error) {
    if (error instanceof BkpError && error.code === 'STORE_DENIED') return false;
    throw error;
  }
}
