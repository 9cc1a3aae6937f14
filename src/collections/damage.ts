import {BkpError} from '../errors/index.ts';

/** True for errors that say that the vault's content is at fault, and not the way to it. */
export function isDamage(error: unknown): error is BkpError {
  return error instanceof BkpError && (error.code === 'OBJECT_DAMAGED' || error.code === 'OBJECT_MISSING');
}

/** @returns undefined for what is damaged or missing */
export async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
