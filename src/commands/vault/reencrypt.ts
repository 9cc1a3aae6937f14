import {changeOpenedKeys, type OpenedKeys, openKeys} from '../../app/keys/open-keys.ts';
import {refuseStoreWhenBusy} from '../../app/orders/busy.ts';
import {startOperation} from '../../app/orders/start.ts';
import {describeStore} from '../../config/index.ts';
import type {RowFormat} from '../../ui/index.ts';
import {fingerprintOf, locksObjects} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';
import {report} from '../sql/run.ts';

export type ReencryptOptions = {wait: boolean; format: RowFormat};

/** New keys, and an operation that seals with them what is older; or the operation alone, if one did not end. */
export async function runReencrypt(deps: CommandDeps, options: ReencryptOptions): Promise<void> {
  const opened = await openKeys(deps);
  const {place, vault} = opened;
  requireReplaceable(opened);
  const subject = {kind: 'store', name: describeStore(place.store)} as const;
  await refuseStoreWhenBusy(deps, subject);
  const notice = await takeNewKeys(deps, opened);
  const order = {do: 'reencrypt', place: {...place, vault}} as const;
  const about = {kind: 'reencrypt', subject, shared: false, statement: 'bkp vault key rotate --reencrypt'} as const;
  const operation = await startOperation(deps, order, about);
  await report(deps, {operation, notices: [notice]}, options);
}

/** @returns which keys are used, for the user */
async function takeNewKeys(deps: CommandDeps, opened: OpenedKeys): Promise<string> {
  const {reencrypting} = opened.unlocked.ring;
  if (reencrypting !== undefined) return `the re-encryption that began ${reencrypting} goes on with the same keys`;
  const {ring} = await changeOpenedKeys(deps, opened, {rotate: {data: true, meta: true}, reencryption: 'begun'});
  return `new keys are used from now on: ring ${fingerprintOf(ring.keys)}`;
}

/** @throws BkpError `PRECONDITION`: before the keys are changed for nothing */
function requireReplaceable({place}: OpenedKeys): void {
  if (place.retentionDays === undefined) return;
  throw locksObjects(describeStore(place.store));
}
