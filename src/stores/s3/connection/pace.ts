import type {Clock} from '../../../lib/clock.ts';

/** So often a waiting request looks whether the limit was changed. */
const lookAgainMs = 250;

/** A piece is at most what the limit allows in this time, so that the line is used evenly. */
const pieceMs = 100;

const smallestPiece = 1024;
const largestPiece = 256 * 1024;

/**
 * One direction's limit, shared by all requests.
 *
 * What was moved is owed and paid off at the limit; while something is owed, nobody moves the next piece. A debt in bytes
 * rather than a time to wake at, because a limit that is lifted meanwhile frees those who wait already.
 */
export class Pace {
  #owedBytes = 0;
  #paidAtMs: number;
  readonly #bytesPerSecond: () => number | undefined;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;

  /** @param bytesPerSecond asked again and again; undefined = no limit */
  constructor(bytesPerSecond: () => number | undefined, clock: Pick<Clock, 'monotonicMs' | 'sleep'>) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#paidAtMs = clock.monotonicMs();
  }

  /** @returns how many bytes are best moved at once now */
  pieceBytes(): number {
    const rate = this.#bytesPerSecond();
    if (rate === undefined) return largestPiece;
    return Math.min(largestPiece, Math.max(smallestPiece, Math.floor((rate * pieceMs) / 1000)));
  }

  /** Resolves when `bytes` more may be moved. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const rate = this.#pay();
      if (rate === undefined) return;
      // A rest below one byte is the rounding of fractions.
      if (this.#owedBytes < 1) {
        this.#owedBytes += bytes;
        return;
      }
      await this.#clock.sleep(Math.min(lookAgainMs, (this.#owedBytes * 1000) / rate), signal);
    }
  }

  /** Pays off what the time since the last look allows; nothing is saved up for later. */
  #pay(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const rate = this.#bytesPerSecond();
    const paidBytes = rate === undefined ? Number.POSITIVE_INFINITY : ((nowMs - this.#paidAtMs) * rate) / 1000;
    this.#owedBytes = Math.max(0, this.#owedBytes - paidBytes);
    this.#paidAtMs = nowMs;
    return rate;
  }
}
