import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import {type LeaseContent, leaseTtlMs, parseLease} from './content.ts';
import type {LeaseDeps} from './lease.ts';
import {type LeaseObjects, type Leases, leasePrefix, listLeases, markReleased, releasedKey} from './objects.ts';

/** A lease of somebody else that is not known to be dead. */
export type OtherLease = {
  id: string;
  /** Undefined when it cannot be parsed. */
  content: LeaseContent | undefined;
  /** True when its process is seen to run, or the lease was seen to change; else only the TTL can tell. */
  isCertain: boolean;
};

/** A TTL that is in a lease is believed within these bounds. */
const ttlBoundsMs = {least: 1000, most: 5 * leaseTtlMs};

/** A holder that renews removes its older objects now and then: so often is a newer one looked for. */
const readTries = 5;

/** What is remembered of a lease between two looks. `mark` is another one whenever the lease was renewed. */
type Seen = {mark: string; sinceMs: number; changed: boolean; content: LeaseContent | undefined};

/** Watches the leases in a store; what it remembers between two looks tells the living from the dead. */
export class LeaseWatch {
  readonly #deps: LeaseDeps;
  readonly #seen = new Map<string, Seen>();
  #sweeps: boolean;
  /** Whether it ended a lease: what was listed before that may have been changed since by its holder. */
  hasEndedLease = false;

  /** @param options.sweeps remove what lies of leases that are over, if that is allowed: what collectors do */
  constructor(deps: LeaseDeps, options: {sweeps: boolean}) {
    this.#deps = deps;
    this.#sweeps = options.sweeps;
  }

  /** Every lease of a listing but `ownId` that is neither over nor dead. Dead ones are removed, or buried. */
  async living(leases: Leases, ownId: string | undefined): Promise<OtherLease[]> {
    const others = [...leases.values()].filter(({id}) => id !== ownId);
    await this.#sweep(others.filter(({isReleased}) => isReleased));
    const living: OtherLease[] = [];
    const dead: LeaseObjects[] = [];
    for (const lease of others) {
      if (lease.isReleased) continue;
      const seen = await this.#look(lease);
      if (seen === undefined) continue;
      const {content} = seen;
      if (this.#isDead(seen)) dead.push(lease);
      else living.push({id: lease.id, content, isCertain: seen.changed || this.#isNeighbour(content)});
    }
    await this.#remove(dead);
    return living;
  }

  /** @returns undefined when it was given back since the listing */
  async #look(lease: LeaseObjects): Promise<Seen | undefined> {
    const before = this.#seen.get(lease.id);
    const newest = lease.renewals.at(-1);
    // The names alone tell that it was renewed; what it says is read again only while it may say something new.
    const isRead = before !== undefined && (before.mark === newest || before.content?.state === 'held');
    const content = newest !== undefined && isRead ? before.content : await this.#read(lease);
    if (content === 'gone') return undefined;
    const mark = newest ?? JSON.stringify(content ?? 'unreadable');
    const isSame = before?.mark === mark;
    const seen: Seen = {
      mark,
      sinceMs: isSame ? before.sinceMs : this.#deps.clock.monotonicMs(),
      changed: isSame ? before.changed : before !== undefined,
      content,
    };
    this.#seen.set(lease.id, seen);
    return seen;
  }

  async #read(lease: LeaseObjects): Promise<LeaseContent | 'gone' | undefined> {
    let key = lease.renewals.at(-1) ?? lease.single!;
    for (let tries = 1; tries <= readTries; tries++) {
      try {
        return parseLease(await this.#deps.store.get(key));
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        if (error.code === 'OBJECT_DAMAGED') return undefined;
        if (error.code !== 'OBJECT_MISSING') throw error;
      }
      // Given back, or renewed, between the listing and the reading.
      const left = (await listLeases(this.#deps.store, leasePrefix(lease.id))).get(lease.id);
      const newest = left?.renewals.at(-1);
      if (newest === undefined || left?.isReleased) return 'gone';
      key = newest;
    }
    return undefined;
  }

  /** Runs on this machine, as far as the lease tells. */
  #isNeighbour(content: LeaseContent | undefined): content is LeaseContent {
    return content?.host.space !== undefined && content.host.space === this.#deps.host.space;
  }

  #isDead({content, sinceMs}: Seen): boolean {
    const {clock, host} = this.#deps;
    const ttlMs = Math.min(ttlBoundsMs.most, Math.max(ttlBoundsMs.least, content?.ttlMs ?? leaseTtlMs));
    if (clock.monotonicMs() - sinceMs >= ttlMs) return true;
    return this.#isNeighbour(content) && !host.isAlive(content.host.pid, content.host.started);
  }

  /** All that was seen of the dead, before anybody acts on their being dead: so one that was not dead finds out. */
  async #remove(dead: readonly LeaseObjects[]): Promise<void> {
    if (dead.length === 0) return;
    this.hasEndedLease = true;
    const {store} = this.#deps;
    if (await removeIfAllowed(store, dead.flatMap(objectsOf))) return;
    for (const {id, single} of dead) {
      // Beside a single object nothing can lie; only folders have such leases, and there who may write may remove.
      if (single === undefined) await markReleased(store, id);
      else await store.delete([single]);
    }
  }

  /** Once for each watch, because somebody who may not remove them need not try at every look. */
  async #sweep(released: readonly LeaseObjects[]): Promise<void> {
    if (!this.#sweeps || released.length === 0) return;
    this.#sweeps = false;
    const {store} = this.#deps;
    // `released` last: what is left by a sweep that ends halfway is still over.
    const removed = await removeIfAllowed(store, released.flatMap(objectsOf));
    if (removed)
      await removeIfAllowed(
        store,
        released.map(({id}) => releasedKey(id)),
      );
  }
}

const objectsOf = ({renewals, single}: LeaseObjects): Key[] => [...renewals, ...(single === undefined ? [] : [single])];
