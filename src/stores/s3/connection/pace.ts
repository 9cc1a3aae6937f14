import type {Clock} from '../../../lib/clock.ts';

/** How often a waiting request re-reads the limit. */
const recheckMs = 250;

/** A piece has at most the bytes that the limit allows in this time, so that the connection is used evenly. */
const pieceMs = 100;

const smallestPiece = 1024;
const largestPiece = 256 * 1024;

/**
 * One direction's limit, shared by all requests.
 *
 * Moved bytes are a debt that shrinks at the rate of the limit; while there is a debt, no request moves its next
 * piece. It is kept in bytes rather than as a time to wake up at, so that a raised limit also releases requests
 * that already wait.
 */
export class Pace {
  #owedBytes = 0;
  #paidAtMs: number;
  readonly #bytesPerSecond: () => number | undefined;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;

  /** @param bytesPerSecond re-read for every piece; undefined = no limit */
  constructor(bytesPerSecond: () => number | undefined, clock: Pick<Clock, 'monotonicMs' | 'sleep'>) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#paidAtMs = clock.monotonicMs();
  }

  /** @returns the best size of the next piece, in bytes */
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
      // A debt below one byte is a rounding error.
      if (this.#owedBytes < 1) {
        this.#owedBytes += bytes;
        return;
      }
      await this.#clock.sleep(Math.min(recheckMs, (this.#owedBytes * 1000) / rate), signal);
    }
  }

  /** Reduces the debt by the bytes that the time since the last call allows; unused time is not saved up. */
  #pay(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const rate = this.#bytesPerSecond();
    const paidBytes = rate === undefined ? Number.POSITIVE_INFINITY : ((nowMs - this.#paidAtMs) * rate) / 1000;
    this.#owedBytes = Math.max(0, this.#owedBytes - paidBytes);
    this.#paidAtMs = nowMs;
    return rate;
  }
}
