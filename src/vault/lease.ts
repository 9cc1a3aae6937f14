import {BkpError} from '../errors/index.ts';
import type {Key, Store} from '../stores/index.ts';
import type {Clock} from './clock.ts';
import type {Host} from './host.ts';
import {encodeLease, firstContent, type LeaseContent, type LeaseMode, leaseTtlMs} from './lease-content.ts';
import {
  bury,
  type LeaseObjects,
  type Leases,
  leasePrefix,
  listLeases,
  releasedKey,
  renewalKey,
} from './lease-objects.ts';
import {removeIfAllowed} from './remove-if-allowed.ts';
import type {LeaseSubject} from './types.ts';

export type LeaseDeps = {store: Store; clock: Clock; host: Host; randomId: () => string};

/** Between two renewals by the timer: three are tried before the lease is lost, so two in a row may fail. */
const renewEveryMs = leaseTtlMs / 5;

/** A renewal younger than this needs no new one to be confirmed. */
const youngMs = leaseTtlMs / 4;

/** Without a renewal for this long the lease is lost, whether or not anybody noticed. */
const lostAfterMs = (leaseTtlMs * 3) / 4;

/** Renewals left lying before the old ones are removed: one more request every six minutes. */
const renewalsAtMost = 16;

/** The one before the newest stays, so that a slow listing that began before the newest was there still sees one. */
const renewalsKept = 2;

/**
 * Our own lease: a growing row of objects, `locks/<id>/<renewal>`, none of which is ever written over. Each is put only if its key
 * is free: where overwriting is forbidden by a bucket's policy, it may be that nothing may be put without that condition.
 *
 * What holds:
 * - Whoever takes us for dead first removes all of the row that it saw, or puts `released` beside it, and acts only then. So a
 *   listing that shows `released` nowhere and every object that we wrote and did not remove ourselves proves that up to that
 *   moment nobody did. We remove an object of ours only after such a listing showed a newer one.
 * - Others take us for dead when they saw no new object for a whole TTL. A renewal counts for us from the moment before its put
 *   was begun, which is earlier than anybody saw it, and we stop three quarters of the TTL after that: when they do, we have
 *   stopped. What is confirmed with a young renewal may so be acted on for at least half of the TTL.
 * - A clock that stood still (a machine that slept) hides the time that passed from us, not from the others: hence the listing
 *   before and after whatever only a holder may do.
 */
export class Lease {
  readonly id: string;
  readonly #deps: LeaseDeps;
  readonly #stopTimer: () => void;
  #content: LeaseContent;
  #renewedAtMs: number;
  /** All that may be there of ours, also what a put that failed may have left. */
  #mine: Key[];
  /** What is there of ours, if nobody took us for dead; the newest last. */
  #witnesses: Key[];
  #mayRemove = true;
  #lost: string | undefined;
  #released = false;
  /** Renewals and looks wait for each other: the timer's and those that somebody asked for. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(deps: LeaseDeps, id: string, content: LeaseContent, writtenAtMs: number) {
    this.#deps = deps;
    this.id = id;
    this.#content = content;
    this.#mine = [renewalKey(id, content.renewal)];
    this.#witnesses = [...this.#mine];
    this.#renewedAtMs = writtenAtMs;
    this.#stopTimer = deps.clock.every(renewEveryMs, () => {
      // A renewal that fails is tried again by the next; one that fails for too long loses the lease.
      this.#inTurn(() => this.#renew()).catch(() => {});
    });
  }

  /** Writes a lease that says it is being acquired. */
  static async write(deps: LeaseDeps, mode: LeaseMode, subject: LeaseSubject): Promise<Lease> {
    const {store, clock, host} = deps;
    const content = firstContent(mode, subject, {host, nowMs: clock.nowMs()});
    const id = deps.randomId();
    const startedAtMs = clock.monotonicMs();
    await store.put(renewalKey(id, content.renewal), encodeLease(content), {ifAbsent: true});
    return new Lease(deps, id, content, startedAtMs);
  }

  /** The newest object. */
  get key(): Key {
    return this.#witnesses.at(-1)!;
  }

  /**
   * A look at all leases, which must show ours.
   * @throws BkpError `VAULT_LOCKED` when it was lost
   */
  look<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#inTurn(() => this.#seen(list));
  }

  /** Tells the others that it is ours now; right after a look that showed nobody in the way. */
  hold(): Promise<void> {
    return this.#inTurn(() => this.#put('held'));
  }

  /**
   * To be called before anything that only a holder may do: the lease is seen to be ours, and stays so for a while. One
   * request when the last renewal is young, else two.
   * @throws BkpError `VAULT_LOCKED` when it was lost; then nothing may be committed or removed
   */
  async confirm(): Promise<void> {
    await this.confirmBy(() => this.#list());
  }

  /** The same by a listing that shows more, and is needed anyway. */
  confirmBy<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#inTurn(async () => {
      if (this.#ageMs() >= youngMs) await this.#put(this.#content.state);
      return this.#seen(list);
    });
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#stopTimer();
    await this.#turn.catch(() => {});
    const {store} = this.#deps;
    // Who took us for dead may have had to say so in our row.
    const keys = this.#lost === undefined ? this.#mine : [...this.#mine, releasedKey(this.id)];
    if (this.#mayRemove && (await removeIfAllowed(store, keys))) return;
    await bury(store, this.id);
  }

  /**
   * As {@link release}, at the end of some work. A store that does not take the lease back now is no reason to call the work
   * failed, nor to tell of that in place of what failed before: the lease ends with this process, or with its TTL.
   */
  async releaseIfPossible(): Promise<void> {
    try {
      await this.release();
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.catch(() => {}).then(work);
    this.#turn = result;
    return result;
  }

  #ageMs(): number {
    return this.#deps.clock.monotonicMs() - this.#renewedAtMs;
  }

  async #renew(): Promise<void> {
    if (this.#released) return;
    await this.#put(this.#content.state);
    // After the put: whoever takes us for dead from here on has seen the new object.
    await this.#seen(() => this.#list());
    await this.#removeOld();
  }

  async #put(state: LeaseContent['state']): Promise<void> {
    this.#requireInTime();
    const startedAtMs = this.#deps.clock.monotonicMs();
    // Never the number of a put that failed: it may still arrive.
    this.#content = {...this.#content, state, renewal: this.#content.renewal + 1};
    const key = renewalKey(this.id, this.#content.renewal);
    this.#mine.push(key);
    await this.#deps.store.put(key, encodeLease(this.#content), {ifAbsent: true});
    this.#witnesses.push(key);
    this.#renewedAtMs = startedAtMs;
  }

  async #list(): Promise<{leases: Leases}> {
    return {leases: await listLeases(this.#deps.store, leasePrefix(this.id))};
  }

  /** What a listing shows, in which our row must be whole. */
  async #seen<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    const found = await list();
    this.#require(found.leases.get(this.id));
    return found;
  }

  async #removeOld(): Promise<void> {
    if (!this.#mayRemove || this.#mine.length <= renewalsAtMost) return;
    const old = this.#mine.slice(0, -renewalsKept);
    // Before they go: of a removal that fails nobody knows what it did.
    this.#witnesses = this.#witnesses.slice(-renewalsKept);
    this.#mayRemove = await removeIfAllowed(this.#deps.store, old);
    if (this.#mayRemove) this.#mine = this.#mine.slice(-renewalsKept);
  }

  #require(found: LeaseObjects | undefined): void {
    if (found?.isReleased === true || !this.#witnesses.every((key) => found?.renewals.includes(key))) {
      this.#lost ??= 'it is not in the store any more: it was removed by somebody who took this process for dead';
    }
    this.#requireInTime();
  }

  #requireInTime(): void {
    const ageMs = this.#ageMs();
    if (ageMs > lostAfterMs) this.#lost ??= `it could not be renewed for ${Math.round(ageMs / 1000)} s`;
    if (this.#lost === undefined) return;
    throw new BkpError('VAULT_LOCKED', `the lease for ${this.#content.purpose} was lost`, {
      cause: this.#lost,
      next: 'start it again; what was written already is found and used again',
      retryable: true,
    });
  }
}
