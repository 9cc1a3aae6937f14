import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import {type LeaseContent, leaseTtlMs, parseLease} from './content.ts';
import type {LeaseDeps} from './lease.ts';
import type {LeaseMemory, SeenLease} from './memory.ts';
import {type LeaseObjects, type Leases, leasePrefix, listLeases, markReleased, releasedKey} from './objects.ts';

/** A lease of another process that is not known to be dead. */
export type OtherLease = {
  id: string;
  /** Undefined when it cannot be parsed. */
  content: LeaseContent | undefined;
  /**
   * True when its process is known to run, or the lease was seen to change, and no renewal is overdue; otherwise only
   * the TTL decides.
   */
  isCertain: boolean;
};

/** A TTL in a lease is trusted within these bounds. */
const ttlBoundsMs = {least: 1000, most: 5 * leaseTtlMs};

/** How many times to look for a newer object when the holder removed the one to be read. */
const readTries = 5;

/**
 * A lease that was not renewed for this part of its TTL has missed two renewals. Its process may be stopped, so whether
 * it runs decides nothing any more.
 */
const doubtfulPart = 0.4;

/** Watches the leases in a store, and finds dead ones by comparing successive listings. */
export class LeaseWatch {
  readonly #deps: LeaseDeps;
  readonly #seen: LeaseMemory;
  #sweeps: boolean;
  /** Whether it ended a lease. What was listed before that may have been changed by the lease's holder since. */
  hasEndedLease = false;

  /** @param options.sweeps remove the objects of ended leases where permitted, as collectors do */
  constructor(deps: LeaseDeps, options: {sweeps: boolean}) {
    this.#deps = deps;
    this.#seen = deps.memory ?? new Map();
    this.#sweeps = options.sweeps;
  }

  /**
   * Every lease of a listing, except `ownId`, that is neither ended nor dead. Dead ones are removed or marked
   * as ended.
   */
  async living(leases: Leases, ownId: string | undefined): Promise<OtherLease[]> {
    const others = [...leases.values()].filter(({id}) => id !== ownId);
    for (const id of this.#seen.keys()) if (!leases.has(id)) this.#seen.delete(id);
    await this.#sweep(others.filter(({isReleased}) => isReleased));
    const living: OtherLease[] = [];
    const dead: LeaseObjects[] = [];
    for (const lease of others) {
      if (lease.isReleased) continue;
      const seen = await this.#observe(lease);
      if (seen === undefined) continue;
      const {content} = seen;
      if (this.#isDead(seen)) dead.push(lease);
      else living.push({id: lease.id, content, isCertain: this.#isCertain(seen)});
    }
    await this.#remove(dead);
    return living;
  }

  /** @returns undefined if it was released after the listing */
  async #observe(lease: LeaseObjects): Promise<SeenLease | undefined> {
    const before = this.#seen.get(lease.id);
    const newest = lease.renewals.at(-1);
    // The names alone show a renewal. The content is read again only while it may change: until the lease is held.
    const isRead = before !== undefined && (before.mark === newest || before.content?.state === 'held');
    const content = newest !== undefined && isRead ? before.content : await this.#read(lease);
    if (content === 'gone') return undefined;
    const mark = newest ?? JSON.stringify(content ?? 'unreadable');
    const isSame = before?.mark === mark;
    const seen: SeenLease = {
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
      // Released or renewed between the listing and the read.
      const left = (await listLeases(this.#deps.store, leasePrefix(lease.id))).get(lease.id);
      const newest = left?.renewals.at(-1);
      if (newest === undefined || left?.isReleased) return 'gone';
      key = newest;
    }
    return undefined;
  }

  /** Whether the holder runs on this machine, judged by the lease. */
  #isNeighbour(content: LeaseContent | undefined): content is LeaseContent {
    return content?.host.space !== undefined && content.host.space === this.#deps.host.space;
  }

  #isDead(seen: SeenLease): boolean {
    if (this.#agedParts(seen) >= 1) return true;
    const {content} = seen;
    return this.#isNeighbour(content) && !this.#deps.host.isAlive(content.host.pid, content.host.started);
  }

  #isCertain(seen: SeenLease): boolean {
    return (seen.changed || this.#isNeighbour(seen.content)) && this.#agedParts(seen) < doubtfulPart;
  }

  /** How long the lease has been watched without a renewal, in parts of its TTL. */
  #agedParts({content, sinceMs}: SeenLease): number {
    const ttlMs = Math.min(ttlBoundsMs.most, Math.max(ttlBoundsMs.least, content?.ttlMs ?? leaseTtlMs));
    return (this.#deps.clock.monotonicMs() - sinceMs) / ttlMs;
  }

  /**
   * Removes every object seen of dead leases before anything is done because of their death, so that a live
   * holder notices.
   */
  async #remove(dead: readonly LeaseObjects[]): Promise<void> {
    if (dead.length === 0) return;
    this.hasEndedLease = true;
    const {store} = this.#deps;
    if (await removeIfAllowed(store, dead.flatMap(objectsOf))) return;
    for (const {id, single} of dead) {
      // Nothing can be put beside a single object. Only directories have such leases, and there writers may
      // remove too.
      if (single === undefined) await markReleased(store, id);
      else await store.delete([single]);
    }
  }

  /** Once for each watch: a process that may not remove objects need not try at every listing. */
  async #sweep(released: readonly LeaseObjects[]): Promise<void> {
    if (!this.#sweeps || released.length === 0) return;
    this.#sweeps = false;
    const {store} = this.#deps;
    // `released` last: a lease that an interrupted sweep leaves behind has still ended.
    const removed = await removeIfAllowed(store, released.flatMap(objectsOf));
    if (removed)
      await removeIfAllowed(
        store,
        released.map(({id}) => releasedKey(id)),
      );
  }
}

const objectsOf = ({renewals, single}: LeaseObjects): Key[] => [...renewals, ...(single === undefined ? [] : [single])];
