import {asPlain} from '../../errors/index.ts';
import {formatCount} from '../../lib/figures.ts';
import type {Store} from '../../stores/index.ts';
import {mendKeys, opensSlot, openWithSlot, readHeader, type SlotInfo, unusedRings} from '../../vault/index.ts';
import type {Deps} from '../deps.ts';
import {kmsKey} from '../places/kms.ts';
import {isWithoutFolder, openStoreAt, type Workplace} from '../places/workplace.ts';
import {shownId} from './slots.ts';

export type KeysFacts = {
  /** Keys of objects of which a copy is missing or damaged; it was written again if that was asked for. */
  atFault: readonly string[];
  /** A sentence part about the slots; undefined if the vault was not opened. */
  slots: string | undefined;
  /** Slots that do not open, or do not suffice. */
  faults: readonly Fault[];
};

type Fault = {detail: string; next?: string | undefined};

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
  const slot = deps.keyChain?.slots.get(header.id);
  const unlocked = slot && (await openWithSlot(store, slot, {vault: header.id}));
  const atFault = await mendKeys(store, header.id, {isTrial: !repair, ring: unlocked?.ring});
  if (unlocked === undefined) return {atFault, slots: undefined, faults: []};
  const {ring, objects} = unlocked;
  const {slots, reencrypting} = ring;
  const kits = slots.filter(({isKit}) => isKit).length;
  const kit = kits === 0 ? 'no recovery kit yet: bkp vault key add --kit' : formatCount(kits, 'recovery kit');
  const unfinished =
    reencrypting === undefined ? '' : `, re-encryption of ${reencrypting} not ended: bkp vault key rotate --reencrypt`;
  const unused = unusedRings(ring, objects).length;
  const left = unused === 0 ? '' : `, ${formatCount(unused, 'ring')} with forgotten keys left: bkp vault key forget`;
  const {text, faults} = await checkKms(deps, store, {vault: header.id, slots});
  return {atFault, slots: `${formatCount(slots.length, 'slot')}, ${kit}${text}${unfinished}${left}`, faults};
}

/** Each slot of AWS KMS is opened as it will be in an emergency, if this machine has a key for that. */
async function checkKms(
  deps: Deps,
  store: Store,
  {vault, slots}: {vault: string; slots: readonly SlotInfo[]},
): Promise<{text: string; faults: Fault[]}> {
  const ofKms = slots.filter(({kind}) => kind === 'kms');
  if (ofKms.length === 0) return {text: '', faults: []};
  const isOnly = ofKms.length === slots.length;
  const faults: Fault[] = isOnly ? [{detail: onlyKms, next: 'bkp vault key add --kit'}] : [];
  const {vaultKmsKey} = await deps.settings();
  if (vaultKmsKey === undefined) return {text: `, ${formatCount(ofKms.length, 'slot')} of KMS ${notTried}`, faults};
  const key = await kmsKey(vaultKmsKey);
  const opened: SlotInfo[] = [];
  for (const slot of ofKms) {
    try {
      if (await opensSlot(store, key, {vault, id: slot.id})) opened.push(slot);
    } catch (error) {
      const {message, cause, next} = asPlain(error);
      faults.push({detail: `slot ${shownId(slot)} (${slot.label}) does not open: ${message} (${cause})`, next});
    }
  }
  const text = opened.map((slot) => `, slot ${shownId(slot)} opens by KMS`).join('');
  if (opened.length === 0 && faults.length === (isOnly ? 1 : 0)) {
    faults.push({detail: `vault.kms.key, ${vaultKmsKey}, opens no slot`, next: 'bkp vault key list shows the slots'});
  }
  return {text, faults};
}

const onlyKms = 'only AWS KMS opens the vault: if its key is deleted, or the account is closed, the backups are lost';
const notTried = 'not tried, because vault.kms.key is not set here';
