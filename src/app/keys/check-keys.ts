import {formatCount} from '../../lib/figures.ts';
import {mendKeys, openWithSlot, readHeader} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {isWithoutFolder, openStoreAt, type Workplace} from '../places/workplace.ts';

export type KeysFacts = {
  /** Keys of objects of which a copy is missing or damaged; it was written again if that was asked for. */
  atFault: readonly string[];
  /** A sentence part about the slots; undefined if the vault was not opened. */
  slots: string | undefined;
};

/**
 * @returns undefined for a store without an encrypted vault
 * @throws BkpError `OBJECT_DAMAGED` if both copies of an object are damaged
 */
export async function checkKeys(
  deps: Deps,
  place: Workplace,
  {repair}: {repair: boolean},
): Promise<KeysFacts | undefined> {
  if (isWithoutFolder(place.store)) return undefined;
  const store = await openStoreAt(deps, place, {create: false});
  const header = await readHeader(store);
  if (header === undefined || header.encryption === 'none') return undefined;
  const atFault = await mendKeys(store, header.id, {isTrial: !repair});
  const slot = deps.keyChain?.slots.get(header.id);
  if (slot === undefined) return {atFault, slots: undefined};
  const {slots, reencrypting} = (await openWithSlot(store, slot, {vault: header.id})).ring;
  const kits = slots.filter(({isKit}) => isKit).length;
  const kit = kits === 0 ? 'no recovery kit yet: bkp vault key add --kit' : formatCount(kits, 'recovery kit');
  const unfinished =
    reencrypting === undefined ? '' : `, re-encryption of ${reencrypting} not ended: bkp vault key rotate --reencrypt`;
  return {atFault, slots: `${formatCount(slots.length, 'slot')}, ${kit}${unfinished}`};
}
