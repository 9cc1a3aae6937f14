import {isInForce, type Pin, pinUntil} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {BackupName} from './names.ts';

/** The subject of the lease under which a collection's pins change; a backup may run at the same time. */
export const pinSubject = (collection: string) => `pins of collection ${collection}`;

/** The pins whose time is not over, oldest backup first. */
export function pinsInForce(pins: ReadonlyMap<BackupName, Pin>, nowMs: number): readonly [BackupName, Pin][] {
  return [...pins].filter(([, pin]) => isInForce(pin, nowMs)).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @throws BkpError `PRECONDITION` if one of the backups is pinned; the next step is to unpin it */
export function requireUnpinned(
  pins: ReadonlyMap<BackupName, Pin>,
  {collection, what, nowMs}: {collection: string; what: string; nowMs: number},
): void {
  const found = pinsInForce(pins, nowMs);
  const [first] = found;
  if (first === undefined) return;
  const [backup, pin] = first;
  const more = found.length === 1 ? '' : ` and ${found.length - 1} more`;
  throw new BkpError('PRECONDITION', `${what}: ${collection}/${backup}${more} ${more === '' ? 'is' : 'are'} pinned`, {
    cause: `${backup} is ${pinUntil(pin)}`,
    next: `UNPIN BACKUP ${quoteName(collection)} AT '${backup}'`,
    context: {collection},
  });
}
