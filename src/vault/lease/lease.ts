import {BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import type {Key, Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import type {LeaseSubject} from '../types.ts';
import {firstContent, type LeaseMode, leaseTtlMs} from './content.ts';
import type {Host} from './host.ts';
import {type Leases, leasePrefix, listLeases, markReleased, releasedKey} from './objects.ts';
import {isIntact, type KeepRow, LeaseRow, lostBy, type RenewedRow, type RowState, removedByOthers} from './row.ts';

export type LeaseDeps = {
  store: Store;
  clock: Clock;
  host: Host;
  randomId: () => string;
  /** Default 120 s. */
  ttlMs?: number | undefined;
  /** Renews held leases, whatever this thread is doing. Absent: a timer of this thread. */
  keepRow?: KeepRow | undefined;
};

/**
 * Our own lease: a growing row of objects, `locks/<id>/<renewal>`, none of which is ever written over. Each is put only if its key
 * is free: where overwriting is forbidden by a bucket's policy, it may be that nothing may be put without that condition.
 *
 * What holds:
 * - Whoever takes us for dead first removes all of the row that it saw, or puts `released` beside it, and acts only then. So a
 *   listing that shows `released` nowhere and every object that we wrote before it and did not remove before its end proves
 *   that up to that moment nobody did. We remove an object of ours only after such a listing showed a newer one.
 * - Others take us for dead when they saw no new object for a whole TTL. A renewal counts for us from the moment before its put
 *   was begun, which is earlier than anybody saw it, and we stop three quarters of the TTL after that: when they do, we have
 *   stopped. What is confirmed with a young renewal may so be acted on for at least half of the TTL.
 * - A clock that stood still (a machine that slept) hides the time that passed from us, not from the others: hence the listing
 *   before and after whatever only a holder may do.
 * - The row may be renewed by another thread of this process: one call of a database can keep ours busy for minutes, and that
 *   is no reason to lose the lease. A process that was stopped is stopped in all its threads.
 */
export class Lease {
  readonly id: string;
  readonly #deps: LeaseDeps;
  readonly #own: LeaseRow;
  /** Our own one until the lease is held. */
  #row: RenewedRow;
  #newest: Key;
  #lost: string | undefined;
  #released = false;

  private constructor(deps: LeaseDeps, id: string, row: LeaseRow, newest: Key) {
    this.#deps = deps;
    this.id = id;
    this.#row = row;
    this.#own = row;
    this.#newest = newest;
  }

  /** Writes a lease that says it is being acquired. */
  static async write(deps: LeaseDeps, mode: LeaseMode, subject: LeaseSubject): Promise<Lease> {
    const {clock, host, ttlMs = leaseTtlMs} = deps;
    const id = deps.randomId();
    const content = firstContent(mode, subject, {host, wallMs: clock.wallMs(), ttlMs});
    const row = await LeaseRow.write(deps, id, content);
    return new Lease(deps, id, row, (await row.state()).witnesses.at(-1)!);
  }

  /** The newest object that was seen. */
  get key(): Key {
    return this.#newest;
  }

  /**
   * A look at all leases, which must show ours.
   * @throws BkpError `VAULT_LOCKED` when it was lost
   */
  async observe<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#seen(await this.#known(), list);
  }

  /** Tells the others that it is ours now; right after a look that showed nobody in the way. */
  async markHeld(): Promise<void> {
    this.#require(await this.#own.state());
    await this.#own.markHeld();
    this.#require(await this.#own.state());
    const {keepRow} = this.#deps;
    if (keepRow === undefined) return;
    this.#row = keepRow(await this.#own.stop(), (state) => new LeaseRow(this.#deps, state));
  }

  /**
   * To be called before anything that only a holder may do: the lease is seen to be ours, and stays so for a while. One
   * request when the last renewal is young, else two.
   * @throws BkpError `VAULT_LOCKED` when it was lost; then nothing may be committed or removed
   */
  async confirm(): Promise<void> {
    await this.confirmBy(async () => ({leases: await listLeases(this.#deps.store, leasePrefix(this.id))}));
  }

  /** The same by a listing that shows more, and is needed anyway. */
  async confirmBy<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#seen(await this.#known({young: true}), list);
  }

  /** @param also what is not needed without the lease, and does no harm where it stays */
  async release(also: readonly Key[] = []): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    const {mine, mayRemove, lost} = await this.#row.stop();
    const {store} = this.#deps;
    // Who took us for dead may have had to say so in our row.
    const wasLost = this.#lost !== undefined || lost !== undefined;
    const row = wasLost ? [...mine, releasedKey(this.id)] : mine;
    if (mayRemove && (await removeIfAllowed(store, [...row, ...also]))) return;
    await markReleased(store, this.id);
  }

  /**
   * As {@link release}, at the end of some work. A store that does not take the lease back now is no reason to call the work
   * failed, nor to tell of that in place of what failed before: the lease ends with this process, or with its TTL.
   */
  async releaseIfPossible(also?: readonly Key[]): Promise<void> {
    try {
      await this.release(also);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
    }
  }

  /** What is known of the row. @throws BkpError `VAULT_LOCKED` when it is lost */
  async #known(options: {young?: boolean} = {}): Promise<RowState> {
    const state = await this.#row.state(options);
    this.#require(state);
    return state;
  }

  /** What a listing shows, in which our row must be whole. @param before what was known of the row before it */
  async #seen<Found extends {leases: Leases}>(before: RowState, list: () => Promise<Found>): Promise<Found> {
    const found = await list();
    const after = await this.#row.state();
    // Not what was renewed, nor what was removed, while it was listed.
    const witnesses = before.witnesses.filter((key) => after.witnesses.includes(key));
    if (!isIntact(witnesses, found.leases.get(this.id))) this.#lost ??= removedByOthers;
    this.#require(after);
    this.#newest = after.witnesses.at(-1)!;
    return found;
  }

  #require(state: RowState): void {
    this.#lost ??= lostBy(state, this.#deps.clock);
    if (this.#lost === undefined) return;
    throw new BkpError('VAULT_LOCKED', `the lease for ${state.content.purpose} was lost`, {
      cause: this.#lost,
      next: 'start it again; what was written already is found and used again',
      retryable: true,
    });
  }
}
