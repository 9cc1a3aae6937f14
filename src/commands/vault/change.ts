import {changeOpenedKeys, openKeys} from '../../app/keys/open-keys.ts';
import {requireOtherWay, slotNamed} from '../../app/keys/slots.ts';
import {BkpError} from '../../errors/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import type {SlotInfo} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {slotText, tell} from './changed.ts';
import {newPassword} from './new-password.ts';

const both = {data: true, meta: true} as const;

type Format = {format: RowFormat};

export type RemoveOptions = Format & {keepKeys: boolean};

export async function runKeyRemove(deps: CommandDeps, names: readonly string[], {keepKeys, format}: RemoveOptions) {
  const opened = await openKeys(deps);
  const removed = names.map((name) => slotNamed(opened.unlocked.ring, name));
  requireOtherWay(opened, removed);
  const changed = await changeOpenedKeys(deps, opened, {
    remove: removed.map(({id}) => id),
    ...(keepKeys ? {} : {rotate: both}),
  });
  const sentences = [
    `removed slot ${removed.map(slotText).join(', ')}`,
    keepKeys
      ? 'the keys are the same: whoever copied them can read what is backed up from now on'
      : 'what is backed up from now on is closed to whoever had it; a copy of the old keys still reads what is ' +
        'older, until bkp vault key rotate --reencrypt',
  ];
  tell(deps, {changed, removed, isRotated: !keepKeys}, {format, sentences});
}

export type PasswdOptions = Format & {passwordFile?: string; rotate: boolean};

/** One ring has the new slot and no longer the old one: at each moment one of the two opens the vault. */
export async function runKeyPasswd(deps: CommandDeps, {passwordFile, rotate, format}: PasswdOptions): Promise<void> {
  const opened = await openKeys(deps);
  const {ring: before, slot} = opened.unlocked;
  const old = before.slots.find(({id}) => id === slot.id)!;
  if (old.isKit) throw openedByKit(old);
  if (old.kind !== 'password' && old.kind !== 'key') throw notPassword(old);
  const secret = await newPassword(deps, opened, passwordFile);
  const changed = await changeOpenedKeys(deps, opened, {
    add: {secret, label: old.label},
    remove: [old.id],
    ...(rotate ? {rotate: both} : {}),
  });
  const kept = 'the old password still opens copies of the store that were made before';
  const sentences = [
    `slot ${slotText(changed.added!)} has the new password`,
    rotate ? kept : `${kept}; if somebody else may know it: bkp vault key rotate --reencrypt`,
  ];
  tell(deps, {changed, removed: [old], isRotated: rotate}, {format, sentences});
}

/** The page would open nothing any more, and the slot of the password that was lost would stay. */
const openedByKit = (slot: SlotInfo) =>
  new BkpError('PRECONDITION', `slot ${slotText(slot)} is a recovery kit, which a password does not replace`, {
    next: 'add the new password with bkp vault key add, and remove the slot of the one that was lost',
  });

const notPassword = (slot: SlotInfo) =>
  new BkpError('PRECONDITION', `slot ${slotText(slot)} has no password: ${slot.kind} opened it`, {
    next: 'add one with bkp vault key add, then give this command with it, or remove the slot',
  });

export async function runKeyRotate(deps: CommandDeps, {format}: Format): Promise<void> {
  const changed = await changeOpenedKeys(deps, await openKeys(deps), {rotate: both});
  const sentences = ['new keys are used from now on; the old ones stay, because older backups need them'];
  tell(deps, {changed, isRotated: true}, {format, sentences});
}
