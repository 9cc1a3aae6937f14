import {BkpError} from '../errors/index.ts';
import {isDamage} from '../vault/index.ts';

/** @returns undefined for what is damaged or missing */
export async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** The same, and undefined also for what a newer bkp wrote: where one backup that cannot be read must not be in the way. */
export async function unlessUnreadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isDamage(error) || (error instanceof BkpError && error.code === 'STORE_REFUSED')) return undefined;
    throw error;
  }
}
