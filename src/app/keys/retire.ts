import {BkpError} from '../../errors/index.ts';
import {changeKeys, openWithSlot, readHeader} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {keyTools, rememberKeys} from '../places/encryption.ts';
import {openStoreAt, type Workplace} from '../places/workplace.ts';

/**
 * Writes in the next ring that nothing is sealed with the older keys any more.
 * @param options.generation of the ring whose keys everything is sealed with
 * @returns false if another process has changed the keys since then
 */
export async function retireOldKeys(
  deps: Deps,
  place: Workplace,
  {vault, generation}: {vault: string; generation: number},
): Promise<boolean> {
  const slot = deps.keyChain?.slots.get(vault);
  if (slot === undefined) throw new Error('a worker of an encrypted vault has a slot');
  const store = await openStoreAt(deps, place, {create: false});
  const unlocked = await openWithSlot(store, slot, {vault});
  if (unlocked.ring.keys.generation !== generation) return false;
  try {
    // A header that was lost meanwhile says nothing of the store.
    const header = (await readHeader(store)) ?? {conditionalWrites: false};
    const {ring} = await changeKeys(keyTools(deps, store, header), unlocked, {reencryption: 'done'});
    rememberKeys(deps, place, {vault, slot, keys: ring.keys});
    return true;
  } catch (error) {
    if (error instanceof BkpError && error.code === 'BUSY') return false;
    throw error;
  }
}
