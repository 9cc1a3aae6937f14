import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {mendKeys, type Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';

/**
 * Compares the two copies of each object of an encrypted vault's keys, and writes a lost or damaged one again.
 * @returns a sentence for the user if there was one
 */
export async function mendKeyCopies(
  deps: Deps,
  place: Workplace,
  {id, encryption}: Pick<Vault, 'id' | 'encryption'>,
): Promise<string | undefined> {
  if (encryption === undefined) return undefined;
  try {
    const mended = await mendKeys(await openStoreAt(deps, place, {create: false}), id);
    if (mended.length === 0) return undefined;
    return `${formatCount(mended.length, 'lost or damaged object')} of the keys written again: ${mended.join(', ')}`;
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    return `the copies of the keys could not be compared: ${error.message}; bkp doctor --repair tries it again`;
  }
}
