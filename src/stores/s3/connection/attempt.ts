import type {Socket} from 'node:net';

/** A request that is slower than this on average counts as stalled. */
const slowestBytesPerSecond = 16 * 1024;

/** Even the smallest request may take this long. */
const shortestDeadlineMs = 60_000;

/**
 * Bytes of an upload that the kernel may still buffer when our last write returns (Linux: net.ipv4.tcp_wmem, at
 * most 4 MiB).
 */
const kernelBufferBytes = 4 * 1024 * 1024;

export type AttemptFacts = {stallMs: number; signal: AbortSignal | undefined};

/** The reason of a request that bkp ended itself; `code` is read where failures are classified. */
export class AttemptEnded extends Error {
  readonly code = 'ETIMEDOUT';
}

/**
 * One request, sent once: counts its bytes and ends it when it stalls.
 *
 * Reading the counters at intervals costs less than a timer that every piece of a body restarts.
 */
export class Attempt {
  sentBytes = 0;
  receivedBytes = 0;
  /** Bytes of this request were sent, and no response said that the server ignored them. */
  mayHaveArrived = false;
  /** Headers of the response, in lower case; undefined before it arrives. */
  headers: Readonly<Record<string, string>> | undefined;

  /** Parts of the request that no error may repeat: key id and session token. */
  readonly secrets: string[] = [];

  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #startedAtMs = performance.now();
  readonly #stallMs: number;
  readonly #outer: AbortSignal | undefined;
  #expectedBytes = 0;
  #socket: Socket | undefined;
  #uploaded = false;
  #resting = 0;
  #restedMs = 0;
  #checkedAtMs = this.#startedAtMs;
  #activeAtMs = this.#startedAtMs;
  #activity = -1;

  constructor({stallMs, signal}: AttemptFacts) {
    this.#stallMs = stallMs;
    this.#outer = signal;
    this.#timer = setInterval(() => this.#check(), Math.min(1000, stallMs / 4));
    if (signal?.aborted) this.#follow();
    else signal?.addEventListener('abort', this.#follow);
  }

  /**
   * Runs `work`, and ends when this attempt must end even if `work` does not: the search for credentials before a
   * request is sent (a program, the server of a role) takes no signal.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const {promise, reject} = Promise.withResolvers<never>();
    const end = () => reject(this.signal.reason);
    if (this.signal.aborted) end();
    else this.signal.addEventListener('abort', end, {once: true});
    try {
      return await Promise.race([promise, work()]);
    } finally {
      clearInterval(this.#timer);
      this.#outer?.removeEventListener('abort', this.#follow);
    }
  }

  /** Aborted when this attempt must end, with the reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Announces bytes that will be sent or received; they extend the time that the request may take. */
  expect(bytes: number): void {
    this.#expectedBytes += bytes;
  }

  watch(socket: Socket): void {
    this.#socket = socket;
  }

  uploaded(): void {
    this.#uploaded = true;
  }

  /** While `wait` runs, the request is paused on purpose and does not count as stalled. */
  async rest(wait: Promise<void>): Promise<void> {
    this.#resting += 1;
    try {
      await wait;
    } finally {
      this.#resting -= 1;
      this.#activeAtMs = performance.now();
    }
  }

  readonly #follow = () => this.#controller.abort(this.#outer?.reason);

  #check(): void {
    const nowMs = performance.now();
    const activity = this.sentBytes + this.receivedBytes + (this.#socket?.bytesRead ?? 0);
    if (this.#resting > 0) this.#restedMs += nowMs - this.#checkedAtMs;
    if (this.#resting > 0 || activity !== this.#activity) this.#activeAtMs = nowMs;
    this.#checkedAtMs = nowMs;
    this.#activity = activity;

    const quietMs = nowMs - this.#activeAtMs;
    if (quietMs >= this.#quietAllowedMs()) {
      this.#controller.abort(new AttemptEnded(`nothing moved for ${Math.round(quietMs / 100) / 10} s`));
    }
    const deadlineMs = shortestDeadlineMs + (this.#expectedBytes / slowestBytesPerSecond) * 1000;
    const tookMs = nowMs - this.#startedAtMs - this.#restedMs;
    if (tookMs > deadlineMs) {
      this.#controller.abort(new AttemptEnded(`not done within ${Math.round(deadlineMs / 1000)} s`));
    }
  }

  /** After an upload the kernel still sends its buffer: the time that many bytes took to hand over is not a stall. */
  #quietAllowedMs(): number {
    if (!this.#uploaded || this.sentBytes === 0) return this.#stallMs;
    const uploadMs = this.#activeAtMs - this.#startedAtMs - this.#restedMs;
    return Math.max(this.#stallMs, uploadMs * Math.min(1, kernelBufferBytes / this.sentBytes));
  }
}
