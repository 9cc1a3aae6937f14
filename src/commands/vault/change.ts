import {changeOpenedKeys, type OpenedKeys, openKeys} from '../../app/keys/open-keys.ts';
import {requireOtherWay, shownId, slotNamed} from '../../app/keys/slots.ts';
import {fingerprintOf, type Ring} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {newPassword} from './new-password.ts';

const both = {data: true, meta: true} as const;

export type RemoveOptions = {keepKeys: boolean};

export async function runKeyRemove(deps: CommandDeps, names: readonly string[], {keepKeys}: RemoveOptions) {
  const opened = await openKeys(deps);
  const slots = names.map((name) => slotNamed(opened.unlocked.ring, name));
  requireOtherWay(opened, slots);
  const {ring} = await changeOpenedKeys(deps, opened, {
    remove: slots.map(({id}) => id),
    ...(keepKeys ? {} : {rotate: both}),
  });
  const removed = slots.map((slot) => `${shownId(slot)} (${slot.label})`).join(', ');
  tell(deps, ring, [
    `removed slot ${removed}`,
    keepKeys
      ? 'the keys are the same: whoever copied them can read what is backed up from now on'
      : 'what is backed up from now on is closed to whoever had it; a copy of the old keys still reads what is older',
  ]);
}

export type PasswdOptions = {passwordFile?: string; rotate: boolean};

/** One ring has the new slot and no longer the old one: at each moment one of the two opens the vault. */
export async function runKeyPasswd(deps: CommandDeps, {passwordFile, rotate}: PasswdOptions): Promise<void> {
  const opened = await openKeys(deps);
  const {ring: before, slot} = opened.unlocked;
  const old = before.slots.find(({id}) => id === slot.id)!;
  const secret = await newPassword(deps, passwordFile);
  const {ring, added} = await changeOpenedKeys(deps, opened, {
    add: {secret, label: old.label},
    remove: [old.id],
    ...(rotate ? {rotate: both} : {}),
  });
  const kept = 'the old password still opens copies of the store that were made before';
  tell(deps, ring, [
    `slot ${shownId(added!)} (${old.label}) has the new password`,
    rotate ? kept : `${kept}; if somebody else may know it: bkp vault key rotate`,
  ]);
}

export async function runKeyRotate(deps: CommandDeps): Promise<void> {
  const opened: OpenedKeys = await openKeys(deps);
  const {ring} = await changeOpenedKeys(deps, opened, {rotate: both});
  tell(deps, ring, ['new keys are used from now on; the old ones stay, because older backups need them']);
}

function tell(deps: CommandDeps, {keys}: Ring, sentences: readonly string[]): void {
  deps.stdout.write([...sentences, `ring ${fingerprintOf(keys)}`, ''].join('\n'));
}
