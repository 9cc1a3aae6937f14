import type {Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import {damagedPackKey} from '../format/key.ts';
import type {PackId} from '../types.ts';

/**
 * Packs that a verification found damaged are noted in the store: an empty object each, whose name says all. Writers write
 * what lies in them anew instead of counting on it. A note goes when its pack is written again, is verified as whole, or is
 * removed; one too many costs space, and nothing else.
 */
export async function noteDamage(store: Store, pack: PackId): Promise<void> {
  await store.put(damagedPackKey(pack), new Uint8Array(), {ifAbsent: true});
}

export async function forgetDamage(store: Store, packs: readonly PackId[]): Promise<void> {
  // Where it may not be removed it stays, and the pack is written again by the next backup that has its chunks.
  await removeIfAllowed(store, packs.map(damagedPackKey));
}
