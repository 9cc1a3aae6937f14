import {BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import type {Key, Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import type {LeaseSubject} from '../types.ts';
import {firstContent, type LeaseMode, leaseTtlMs} from './content.ts';
import type {Host} from './host.ts';
import type {LeaseMemory} from './memory.ts';
import {type Leases, leasePrefix, listLeases, markReleased, releasedKey} from './objects.ts';
import {isIntact, type KeepRow, LeaseRow, lostBy, type RenewedRow, type RowState, removedByOthers} from './row.ts';

export type LeaseDeps = {
  store: Store;
  clock: Clock;
  host: Host;
  randomId: () => string;
  /** Default 120 s. */
  ttlMs?: number | undefined;
  /** Renews held leases while this thread is busy. Absent: a timer of this thread does. */
  keepRow?: KeepRow | undefined;
  /** Lets an acquisition continue where an earlier one stopped watching. Absent: each one begins to watch. */
  memory?: LeaseMemory | undefined;
};

/**
 * A lease of this process: a growing row of objects `locks/<id>/<renewal>`, none of which is ever overwritten.
 * Each is put only if its key is free, because a bucket policy that forbids overwriting may reject every put
 * without that condition.
 *
 * Invariants:
 * - A process that takes this one for dead first removes every object of the row that it saw, or puts
 *   `released` beside them, and acts only after that. So if a listing does not show `released`, and shows every
 *   object that we put before it began and did not remove before it ended, then no process had taken us for
 *   dead when it began. We remove an object of ours only after such a listing has shown a newer one.
 * - Others take us for dead when they have seen no new object for a whole TTL. We count a renewal from the time
 *   just before its put, which is earlier than any other process can see it, and stop three quarters of the TTL
 *   later. So we have stopped before they act. What was confirmed with a young renewal may be acted on for at
 *   least half of the TTL.
 * - A clock that stood still (a suspended machine) hides the elapsed time from us but not from others. Hence
 *   the listings before and after everything that only a holder may do.
 * - Another thread of this process may renew the row, because one call of a database can keep this thread busy
 *   for minutes. A stopped process is stopped in all its threads.
 */
export class Lease {
  readonly id: string;
  readonly #deps: LeaseDeps;
  readonly #own: LeaseRow;
  /** The same row until the lease is held; then possibly one that another thread renews. */
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

  /** Writes a lease in the state `acquiring`. */
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
   * Runs a listing of leases, which must show this one.
   * @throws BkpError `VAULT_LOCKED` when this lease was lost
   */
  async observe<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#seen(await this.#known(), list);
  }

  /** Writes that the lease is held. Call it right after a listing that showed no conflict. */
  async markHeld(): Promise<void> {
    this.#require(await this.#own.state());
    await this.#own.markHeld();
    this.#require(await this.#own.state());
    const {keepRow} = this.#deps;
    if (keepRow === undefined) return;
    this.#row = keepRow(await this.#own.stop(), (state) => new LeaseRow(this.#deps, state));
  }

  /**
   * Call this before anything that only a holder may do: it verifies that the lease is ours, which then holds
   * for at least half of the TTL. Takes one request if the last renewal is young, otherwise two.
   * @throws BkpError `VAULT_LOCKED` when it was lost; nothing may be committed or removed then
   */
  async confirm(): Promise<void> {
    await this.confirmBy(async () => ({leases: await listLeases(this.#deps.store, leasePrefix(this.id))}));
  }

  /** As {@link confirm}, by a listing that the caller needs anyway and that shows more. */
  async confirmBy<Found extends {leases: Leases}>(list: () => Promise<Found>): Promise<Found> {
    return this.#seen(await this.#known({young: true}), list);
  }

  /** @param also objects that are not needed without the lease, and are harmless if they stay */
  async release(also: readonly Key[] = []): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    const {mine, mayRemove, lost} = await this.#row.stop();
    const {store} = this.#deps;
    // A process that took us for dead may have put `released` into our row.
    const wasLost = this.#lost !== undefined || lost !== undefined;
    const row = wasLost ? [...mine, releasedKey(this.id)] : mine;
    if (mayRemove && (await removeIfAllowed(store, [...row, ...also]))) return;
    await markReleased(store, this.id);
  }

  /**
   * As {@link release}, at the end of some work. Ignores errors of the store: they do not make the work fail,
   * and must not hide an earlier error. The lease then ends with this process, or with its TTL.
   */
  async releaseIfPossible(also?: readonly Key[]): Promise<void> {
    try {
      await this.release(also);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
    }
  }

  /** The state of the row. @throws BkpError `VAULT_LOCKED` when the lease is lost */
  async #known(options: {young?: boolean} = {}): Promise<RowState> {
    const state = await this.#row.state(options);
    this.#require(state);
    return state;
  }

  /** Runs a listing in which our row must be complete. @param before the state of the row before the listing */
  async #seen<Found extends {leases: Leases}>(before: RowState, list: () => Promise<Found>): Promise<Found> {
    const found = await list();
    const after = await this.#row.state();
    // Without objects that were put or removed while the listing ran.
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
      next: 'start it again; what was already written is found and reused',
      retryable: true,
    });
  }
}
