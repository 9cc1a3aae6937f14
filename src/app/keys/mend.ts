import {BkpError} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import {mendKeys, openWithSlot, type Vault} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';

/**
 * Compares the two copies of each object of an encrypted vault's keys, and writes a lost or damaged one again; a notice
 * says so.
 */
export async function mendKeyCopies(
  {deps, vault, notice}: {deps: Deps; vault: Pick<Vault, 'id' | 'encryption'>; notice: (text: string) => void},
  place: Workplace,
): Promise<void> {
  if (vault.encryption === undefined) return;
  try {
    const store = await openStoreAt(deps, place, {create: false});
    const slot = deps.keyChain?.slots.get(vault.id);
    const unlocked = slot && (await openWithSlot(store, slot, {vault: vault.id}));
    const mended = await mendKeys(store, vault.id, {ring: unlocked?.ring});
    if (mended.length === 0) return;
    notice(`${formatCount(mended.length, 'lost or damaged object')} of the keys written again: ${mended.join(', ')}`);
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    notice(`the copies of the keys could not be compared: ${error.message}; bkp doctor --repair tries it again`);
  }
}
