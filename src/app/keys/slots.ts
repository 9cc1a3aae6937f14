import {BkpError} from '../../errors/index.ts';
import type {Ring, SlotInfo} from '../../vault/index.ts';
import type {OpenedKeys} from './open-keys.ts';

/** So many characters of a slot's id are shown and suffice to name it. */
export const shownIdLength = 8;

export const shownId = ({id}: Pick<SlotInfo, 'id'>): string => id.slice(0, shownIdLength);

/** What a slot is opened with, in the word of a person. */
export const kindOf = ({kind, isKit}: SlotInfo): string => (isKit ? 'kit' : kind);

/**
 * The slot with this label, or whose id begins so.
 * @throws BkpError `BAD_REQUEST` unless it is exactly one
 */
export function slotNamed({slots}: Pick<Ring, 'slots'>, name: string): SlotInfo {
  const byId = slots.filter(({id}) => name.length >= shownIdLength && id.startsWith(name.toLowerCase()));
  const found = byId.length > 0 ? byId : slots.filter(({label}) => label === name);
  const [slot] = found;
  if (slot !== undefined && found.length === 1) return slot;
  const what = slot === undefined ? `the vault has no slot ${name}` : `the vault has ${found.length} slots ${name}`;
  throw new BkpError('BAD_REQUEST', what, {next: 'name it by its id: bkp vault key list'});
}

/**
 * Whoever removes the slot that was opened must be able to open the vault with another one.
 * @throws BkpError `PRECONDITION`
 */
export function requireOtherWay({unlocked}: OpenedKeys, removed: readonly SlotInfo[]): void {
  const {ring, slot} = unlocked;
  if (!removed.some(({id}) => id === slot.id)) return;
  const staying = ring.slots.filter(({id}) => !removed.some((one) => one.id === id));
  if (staying.some(({isKit, kind}) => isKit || kind === 'age' || kind === 'kms')) return;
  throw new BkpError('PRECONDITION', `slot ${shownId(slot)} is the one that this password opened`, {
    cause: 'nothing shows that somebody still has the secret of another one',
    next: 'give the command with another password, or change this one: bkp vault key passwd',
  });
}
