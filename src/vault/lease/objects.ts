import type {Key, Store} from '../../stores/index.ts';
import {locksPrefix} from '../format/key.ts';

/** What lies of one lease in a store. */
export type LeaseObjects = {
  id: string;
  /** Renewals, oldest first: their names grow. */
  renewals: Key[];
  /** The one object of a lease of an older bkp, which writes it over at each renewal. */
  single?: Key;
  /** It is over, whatever else lies there: given back, or taken for dead, by somebody who may not remove objects. */
  isReleased: boolean;
};

export type Leases = ReadonlyMap<string, LeaseObjects>;

const releasedName = 'released';
const renewalDigits = 8;

export const leasePrefix = (id: string) => `${locksPrefix}${id}/`;

export const renewalKey = (id: string, renewal: number): Key =>
  leasePrefix(id) + String(renewal).padStart(renewalDigits, '0');

export const releasedKey = (id: string): Key => leasePrefix(id) + releasedName;

/** Sorts keys below `locks/`, which come sorted, by their leases. */
export class LeaseGroups {
  readonly leases = new Map<string, LeaseObjects>();

  add(key: Key): void {
    const [id = '', name] = key.slice(locksPrefix.length).split('/');
    const lease = this.leases.get(id) ?? {id, renewals: [], isReleased: false};
    this.leases.set(id, lease);
    if (name === undefined) lease.single = key;
    else if (name === releasedName) lease.isReleased = true;
    else lease.renewals.push(key);
  }
}

/** @param prefix `locks/`, or what lies of one lease alone */
export async function listLeases(store: Pick<Store, 'list'>, prefix = locksPrefix): Promise<Leases> {
  const groups = new LeaseGroups();
  for await (const {key} of store.list(prefix)) groups.add(key);
  return groups.leases;
}

/** Says of a lease that it is over, where its objects cannot be removed. */
export async function markReleased(store: Store, id: string): Promise<void> {
  await store.put(releasedKey(id), new Uint8Array(), {ifAbsent: true});
}
