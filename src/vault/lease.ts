import {BkpError} from '../errors/index.ts';
import type {Key, Store} from '../stores/index.ts';
import type {Clock} from './clock.ts';
import {isDamage} from './damage.ts';
import type {Host} from './host.ts';
import {locksPrefix} from './key.ts';
import type {LeaseSubject} from './types.ts';

/** How long an unchanged lease is trusted: longer than a busy machine or a slow store keeps a holder from renewing. */
export const leaseTtlMs = 120_000;

export type LeaseMode = 'writer' | 'collector';

export type LeaseContent = {
  version: 1;
  mode: LeaseMode;
  state: 'acquiring' | 'held';
  purpose: string;
  subject?: string;
  host: {name: string; space?: string; pid: number; started?: string};
  since: string;
  renewal: number;
  ttlMs: number;
};

export type LeaseDeps = {store: Store; clock: Clock; host: Host; randomId: () => string};

/**
 * Our own lease.
 *
 * What holds: it is renewed only when the store still has what we wrote last, and only before three quarters of the TTL are over.
 * Others take it for dead after a whole TTL without change, so when they do we have stopped.
 */
export class Lease {
  readonly id: string;
  readonly key: Key;
  readonly #deps: LeaseDeps;
  readonly #stopTimer: () => void;
  #content: LeaseContent;
  #renewedAtMs: number;
  #lost: string | undefined;
  #released = false;
  /** Renewals wait for each other: the timer's and those that somebody asked for. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(deps: LeaseDeps, id: string, content: LeaseContent) {
    this.#deps = deps;
    this.id = id;
    this.key = locksPrefix + id;
    this.#content = content;
    this.#renewedAtMs = deps.clock.monotonicMs();
    this.#stopTimer = deps.clock.every(content.ttlMs / 8, () => {
      // A renewal that fails is tried again by the next; one that fails for too long loses the lease.
      this.#renew().catch(() => {});
    });
  }

  /** Writes a lease that says it is being acquired. */
  static async write(deps: LeaseDeps, mode: LeaseMode, {purpose, subject}: LeaseSubject): Promise<Lease> {
    const {name, space, pid, started} = deps.host;
    const content: LeaseContent = {
      version: 1,
      mode,
      state: 'acquiring',
      purpose,
      ...(subject === undefined ? {} : {subject}),
      host: {name, ...(space === undefined ? {} : {space}), pid, ...(started === undefined ? {} : {started})},
      since: new Date(deps.clock.nowMs()).toISOString(),
      renewal: 0,
      ttlMs: leaseTtlMs,
    };
    const id = deps.randomId();
    await deps.store.put(locksPrefix + id, encode(content));
    return new Lease(deps, id, content);
  }

  /** Tells the others that it is ours now. */
  async hold(): Promise<void> {
    await this.#renew('held');
  }

  /**
   * To be called before anything that only a holder may do: the lease is renewed, and so ours for a while.
   * @throws BkpError `VAULT_LOCKED` when it was lost; then nothing may be committed or removed
   */
  async confirm(): Promise<void> {
    await this.#renew();
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#stopTimer();
    await this.#turn.catch(() => {});
    await this.#deps.store.delete([this.key]);
  }

  #renew(state = this.#content.state): Promise<void> {
    const renewal = this.#turn.catch(() => {}).then(() => this.#renewNow(state));
    this.#turn = renewal;
    return renewal;
  }

  async #renewNow(state: LeaseContent['state']): Promise<void> {
    if (this.#released) return;
    const startedAtMs = this.#deps.clock.monotonicMs();
    if (startedAtMs - this.#renewedAtMs > leaseTtlMs * 0.75) {
      this.#lost ??= `it could not be renewed for ${Math.round((startedAtMs - this.#renewedAtMs) / 1000)} s`;
    }
    if (this.#lost === undefined && !(await this.#isOurs()))
      this.#lost = 'it was removed by somebody who took this process for dead';
    if (this.#lost !== undefined) {
      throw new BkpError('VAULT_LOCKED', `the lease for ${this.#content.purpose} was lost`, {
        cause: this.#lost,
        next: 'start it again; what was written already is found and used again',
        retryable: true,
      });
    }
    const content: LeaseContent = {...this.#content, state, renewal: this.#content.renewal + 1};
    await this.#deps.store.put(this.key, encode(content));
    this.#content = content;
    this.#renewedAtMs = startedAtMs;
  }

  async #isOurs(): Promise<boolean> {
    try {
      const found = await this.#deps.store.get(this.key);
      return Buffer.compare(found, encode(this.#content)) === 0;
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    }
  }
}

const encode = (content: LeaseContent): Uint8Array => Buffer.from(`${JSON.stringify(content)}\n`);

/** @returns undefined for what is no lease */
export function parseLease(bytes: Uint8Array): LeaseContent | undefined {
  try {
    const content = JSON.parse(Buffer.from(bytes).toString()) as LeaseContent;
    const isLease =
      (content.mode === 'writer' || content.mode === 'collector') &&
      typeof content.purpose === 'string' &&
      typeof content.host?.pid === 'number' &&
      typeof content.ttlMs === 'number';
    return isLease ? content : undefined;
  } catch {
    return undefined;
  }
}
