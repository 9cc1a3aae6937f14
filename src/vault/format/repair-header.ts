import {BkpError} from '../../errors/index.ts';
import type {Store} from '../../stores/index.ts';
import {holdsBackups, putHeader, readHeader} from './header.ts';

/**
 * Writes a lost or damaged header again. No backup needs it: it only says that the store is a vault of this
 * format, and which one.
 * @param id the vault's id if it is known, else a new one
 * @returns false when there is nothing to repair: the header is intact, or the store contains no backups
 * @throws BkpError `STORE_REFUSED` when the header is of a newer format, or of another program
 */
export async function repairHeader(store: Store, id: string): Promise<boolean> {
  const state = await readHeader(store).catch((error: unknown) => {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return 'damaged' as const;
    throw error;
  });
  if ((state !== undefined && state !== 'damaged') || !(await holdsBackups(store))) return false;
  await putHeader(store, id, {replaces: state === 'damaged'});
  return true;
}
