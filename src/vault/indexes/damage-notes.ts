import {putAndRead, removeIfAllowed, type Store} from '../../stores/index.ts';
import {damagedPackKey} from '../format/key.ts';
import type {PackId} from '../types.ts';

/**
 * Notes in the store that a verification found a pack damaged: an empty object named after the pack. Writers
 * store the chunks of such a pack again instead of relying on it. The note is removed when the pack is verified
 * as intact, or is removed itself; a superfluous note only costs space.
 */
export async function noteDamage(store: Store, pack: PackId): Promise<void> {
  await putAndRead(store, damagedPackKey(pack), new Uint8Array(), {ifAbsent: true});
}

export async function forgetDamage(store: Store, packs: readonly PackId[]): Promise<void> {
  // Where bkp may not remove it, it stays, and the next backup that has the pack's chunks stores them again.
  await removeIfAllowed(store, packs.map(damagedPackKey));
}
