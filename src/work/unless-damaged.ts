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
