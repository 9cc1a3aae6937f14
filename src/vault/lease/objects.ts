import type {Key, Store} from '../../stores/index.ts';
import {locksPrefix} from '../format/key.ts';

/** The objects of one lease in a store. */
export type LeaseObjects = {
  id: string;
  /** Renewals, oldest first, as their names sort. */
  renewals: Key[];
  /** The single object of a lease of an older bkp, which overwrites it at each renewal. */
  single?: Key;
  /**
   * The lease has ended, whatever other objects it has: a process that may not remove objects released it or
   * took it for dead.
   */
  isReleased: boolean;
};

export type Leases = ReadonlyMap<string, LeaseObjects>;

const releasedName = 'released';
const renewalDigits = 8;

export const leasePrefix = (id: string) => `${locksPrefix}${id}/`;

export const renewalKey = (id: string, renewal: number): Key =>
  leasePrefix(id) + String(renewal).padStart(renewalDigits, '0');

export const releasedKey = (id: string): Key => leasePrefix(id) + releasedName;

/** Groups keys below `locks/`, which arrive sorted, by their leases. */
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

/** @param prefix `locks/`, or the prefix of one lease */
export async function listLeases(store: Pick<Store, 'list'>, prefix = locksPrefix): Promise<Leases> {
  const groups = new LeaseGroups();
  for await (const {key} of store.list(prefix)) groups.add(key);
  return groups.leases;
}

/** Marks a lease as ended where its objects cannot be removed. */
export async function markReleased(store: Store, id: string): Promise<void> {
  await store.put(releasedKey(id), new Uint8Array(), {ifAbsent: true});
}
