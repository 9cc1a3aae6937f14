import {BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import type {PackId} from '../types.ts';
import type {VerifiedPack} from './ledger.ts';
import type {StoredLedger} from './stored-ledger.ts';

/** After this time, what was verified is recorded: a verification of days that is killed then loses little. */
const recordEveryMs = 10 * 60_000;

/** Records what a verification finds intact. A store that cannot be written does not fail the verification. */
export class Recorder {
  readonly #stored: StoredLedger;
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly #exists: (pack: PackId) => boolean;
  #batch: VerifiedPack[] = [];
  #batchMs = Number.POSITIVE_INFINITY;
  #recordedAtMs: number;
  #recording: Promise<void> = Promise.resolve();
  /** Why something could not be recorded. */
  fault: BkpError | undefined;

  constructor(
    stored: StoredLedger,
    {clock, exists}: {clock: Pick<Clock, 'wallMs' | 'monotonicMs'>; exists: (pack: PackId) => boolean},
  ) {
    this.#stored = stored;
    this.#clock = clock;
    this.#exists = exists;
    this.#recordedAtMs = clock.monotonicMs();
  }

  /** @param begunMs when the first of the bytes was read, by the wall clock */
  async add(verified: VerifiedPack, begunMs: number): Promise<void> {
    this.#batch.push(verified);
    this.#batchMs = Math.min(this.#batchMs, begunMs);
    if (this.#clock.monotonicMs() - this.#recordedAtMs >= recordEveryMs) await this.flush();
  }

  async flush(): Promise<void> {
    const [batch, atMs] = [this.#batch, this.#batchMs];
    this.#batch = [];
    this.#batchMs = Number.POSITIVE_INFINITY;
    this.#recordedAtMs = this.#clock.monotonicMs();
    // One after the other: each may replace all documents before it.
    this.#recording = this.#recording.then(() => this.#record(batch, atMs));
    await this.#recording;
  }

  async #record(batch: readonly VerifiedPack[], atMs: number): Promise<void> {
    try {
      await this.#stored.record(batch, atMs, this.#exists);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      this.fault ??= error;
    }
  }
}
