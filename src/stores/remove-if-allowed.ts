import {BkpError} from '../errors/index.ts';
import type {Key, Store} from './store.ts';

/**
 * Removes what is better gone and does no harm where it lies.
 * @returns false when these credentials may not remove objects, or something of it must stay for its retention
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
