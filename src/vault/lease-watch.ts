import {isDamage} from './damage.ts';
import {locksPrefix} from './key.ts';
import {type LeaseContent, type LeaseDeps, leaseTtlMs, parseLease} from './lease.ts';

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

/** Watches the leases in a store; what it remembers between two looks tells the living from the dead. */
export class LeaseWatch {
  readonly #deps: LeaseDeps;
  readonly #seen = new Map<string, {text: string; sinceMs: number; changed: boolean}>();

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
  }

  /** Every lease but `ownId` that is not dead. Dead ones are removed. */
  async living(ownId: string | undefined): Promise<OtherLease[]> {
    const {store} = this.#deps;
    const living: OtherLease[] = [];
    const dead: string[] = [];
    for await (const {key} of store.list(locksPrefix)) {
      const id = key.slice(locksPrefix.length);
      if (id === ownId) continue;
      const bytes = await store.get(key).catch((error: unknown) => {
        if (isDamage(error)) return undefined;
        throw error;
      });
      // Given back between the listing and the reading.
      if (bytes === undefined) continue;
      const lease = this.#judge(id, bytes);
      if (lease === undefined) dead.push(key);
      else living.push(lease);
    }
    if (dead.length > 0) await store.delete(dead);
    return living;
  }

  /** @returns undefined when it is dead */
  #judge(id: string, bytes: Uint8Array): OtherLease | undefined {
    const {clock, host} = this.#deps;
    const content = parseLease(bytes);
    const text = Buffer.from(bytes).toString('latin1');
    const before = this.#seen.get(id);
    const nowMs = clock.monotonicMs();
    if (before === undefined) this.#seen.set(id, {text, sinceMs: nowMs, changed: false});
    else if (before.text !== text) this.#seen.set(id, {text, sinceMs: nowMs, changed: true});
    const {sinceMs, changed} = this.#seen.get(id)!;
    const ttlMs = Math.min(ttlBoundsMs.most, Math.max(ttlBoundsMs.least, content?.ttlMs ?? leaseTtlMs));
    if (nowMs - sinceMs >= ttlMs) return undefined;
    if (content?.host.space !== undefined && content.host.space === host.space) {
      return host.isAlive(content.host.pid, content.host.started) ? {id, content, isCertain: true} : undefined;
    }
    return {id, content, isCertain: changed};
  }
}
