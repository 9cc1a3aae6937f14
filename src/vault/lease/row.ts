import type {Clock} from '../../lib/clock.ts';
import type {Key, Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import {encodeLease, type LeaseContent} from './content.ts';
import {type LeaseObjects, leasePrefix, listLeases, renewalKey} from './objects.ts';

/** Interval of the timer's renewals: three are attempted before the lease is lost, so two in a row may fail. */
export const renewEveryMs = ({ttlMs}: LeaseContent) => ttlMs / 5;

/** A lease whose last renewal is younger than this part of the TTL is confirmed without another renewal. */
const youngPart = 1 / 4;

/** Without a renewal for this part of the TTL the lease is lost, whether or not any process noticed. */
const lostPart = 3 / 4;

/** Renewals left in the store before the old ones are removed: one more request every six minutes. */
const renewalsAtMost = 16;

/** The second newest stays, so that a slow listing that began before the newest was put still shows one. */
const renewalsKept = 2;

/** What a holder knows of its own row. Plain data, so that another thread of the process may continue from it. */
export type RowState = {
  id: string;
  content: LeaseContent;
  /** When the newest renewal's put began, by the monotonic clock. */
  renewedAtMs: number;
  /** Every object of ours that may be in the store, including those of puts that failed. */
  mine: readonly Key[];
  /** The objects of ours that are in the store unless another process took us for dead; the newest last. */
  witnesses: readonly Key[];
  mayRemove: boolean;
  /** Why the lease was lost; absent while it is ours. */
  lost?: string;
};

/** A row that this thread or another one renews. */
export interface RenewedRow {
  /** @param options.young renew first if the last renewal is not young; throws the errors of the store */
  state(options?: {young?: boolean}): Promise<RowState>;
  /** Stops renewing. @returns the final state */
  stop(): Promise<RowState>;
}

/**
 * Has another thread renew a row from now on.
 * @param here renews it in this thread instead, if the other one is not available
 */
export type KeepRow = (state: RowState, here: (state: RowState) => LeaseRow) => RenewedRow;

export type RowDeps = {store: Pick<Store, 'put' | 'list' | 'delete'>; clock: Clock};

/** Writes and renews the objects of one lease; lease.ts lists the invariants. */
export class LeaseRow implements RenewedRow {
  readonly #deps: RowDeps;
  readonly #stopTimer: () => void;
  #state: RowState;
  #stopped = false;
  /** Renewals by the timer and by the holder run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Renews until it is stopped. */
  constructor(deps: RowDeps, state: RowState) {
    this.#deps = deps;
    this.#state = state;
    this.#stopTimer = deps.clock.every(renewEveryMs(state.content), () => {
      // The next renewal is also the retry of a failed one. After too many failures the lease is lost.
      this.#inTurn(() => this.#renew()).catch(() => {});
    });
  }

  /** Writes the first object of a lease. */
  static async write(deps: RowDeps, id: string, content: LeaseContent): Promise<LeaseRow> {
    const key = renewalKey(id, content.renewal);
    const renewedAtMs = deps.clock.monotonicMs();
    await deps.store.put(key, encodeLease(content), {ifAbsent: true});
    return new LeaseRow(deps, {id, content, renewedAtMs, mine: [key], witnesses: [key], mayRemove: true});
  }

  /** Writes that the lease is held. */
  markHeld(): Promise<void> {
    return this.#inTurn(() => this.#put('held'));
  }

  state({young = false}: {young?: boolean} = {}): Promise<RowState> {
    if (!young) return Promise.resolve(this.#state);
    return this.#inTurn(async () => {
      const {content, lost} = this.#state;
      if (lost === undefined && !isYoung(this.#state, this.#deps.clock)) await this.#put(content.state);
      return this.#state;
    });
  }

  async stop(): Promise<RowState> {
    this.#stopped = true;
    this.#stopTimer();
    await this.#turn.catch(() => {});
    return this.#state;
  }

  /**
   * As {@link stop} without waiting, so that another thread can continue. The state includes an unfinished
   * renewal as one that may have arrived.
   */
  handOver(): RowState {
    this.#stopped = true;
    this.#stopTimer();
    return this.#state;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.catch(() => {}).then(work);
    this.#turn = result;
    return result;
  }

  async #renew(): Promise<void> {
    if (this.#stopped || this.#isLost()) return;
    await this.#put(this.#state.content.state);
    // After the put: a process that takes us for dead from here on has seen the new object.
    const found = (await listLeases(this.#deps.store, leasePrefix(this.#state.id))).get(this.#state.id);
    if (!isIntact(this.#state.witnesses, found)) this.#change({lost: removedByOthers});
    if (!this.#isLost()) await this.#removeOld();
  }

  async #put(state: LeaseContent['state']): Promise<void> {
    if (this.#isLost()) return;
    const renewedAtMs = this.#deps.clock.monotonicMs();
    // Never reuse the number of a put that failed: it may still arrive.
    const content = {...this.#state.content, state, renewal: this.#state.content.renewal + 1};
    const key = renewalKey(this.#state.id, content.renewal);
    this.#change({content, mine: [...this.#state.mine, key]});
    await this.#deps.store.put(key, encodeLease(content), {ifAbsent: true});
    this.#change({witnesses: [...this.#state.witnesses, key], renewedAtMs});
  }

  async #removeOld(): Promise<void> {
    const {mayRemove, mine, witnesses} = this.#state;
    if (!mayRemove || mine.length <= renewalsAtMost) return;
    const old = mine.slice(0, -renewalsKept);
    // Before the removal: if it fails, it is unknown which objects remain.
    this.#change({witnesses: witnesses.slice(-renewalsKept)});
    if (await removeIfAllowed(this.#deps.store, old)) this.#change({mine: this.#state.mine.slice(-renewalsKept)});
    else this.#change({mayRemove: false});
  }

  #isLost(): boolean {
    const lost = lostBy(this.#state, this.#deps.clock);
    if (lost !== undefined) this.#change({lost});
    return lost !== undefined;
  }

  #change(change: Partial<RowState>): void {
    this.#state = {...this.#state, ...change};
  }
}

export const removedByOthers = 'it is no longer in the store: another process took this one for dead and removed it';

/** Whether every object that we put and did not remove is in the store, and no other process ended the lease. */
export function isIntact(witnesses: readonly Key[], found: LeaseObjects | undefined): boolean {
  return found !== undefined && !found.isReleased && witnesses.every((key) => found.renewals.includes(key));
}

/** @returns why the lease is lost, judged by the holder's clock and earlier listings; undefined while it is held */
export function lostBy(state: RowState, clock: Clock): string | undefined {
  if (state.lost !== undefined) return state.lost;
  const ageMs = clock.monotonicMs() - state.renewedAtMs;
  return ageMs > state.content.ttlMs * lostPart
    ? `it could not be renewed for ${Math.round(ageMs / 1000)} s`
    : undefined;
}

function isYoung({renewedAtMs, content}: RowState, clock: Clock): boolean {
  return clock.monotonicMs() - renewedAtMs < content.ttlMs * youngPart;
}
