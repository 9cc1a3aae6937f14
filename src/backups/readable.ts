import {BkpError} from '../errors/index.ts';
import {isDamage} from '../vault/index.ts';

/**
 * True if the object itself is at fault: it is missing, damaged or written by a newer bkp. False if the store
 * failed.
 */
export function isUnreadable(error: unknown): error is BkpError {
  return isDamage(error) || (error instanceof BkpError && error.code === 'STORE_REFUSED');
}

/** @returns undefined if what is read is damaged, missing or written by a newer bkp */
export async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

/**
 * The newest backup whose manifest can be read; unreadable ones are skipped.
 * @param names oldest first
 */
export async function newestReadable<Name, Backup>(
  names: readonly Name[],
  read: (name: Name) => Promise<Backup>,
): Promise<Backup | undefined> {
  for (const name of names.toReversed()) {
    const backup = await unlessUnreadable(read(name));
    if (backup !== undefined) return backup;
  }
  return undefined;
}
