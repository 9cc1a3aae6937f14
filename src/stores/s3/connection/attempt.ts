import type {Socket} from 'node:net';

/** Slower than this for a whole request is as good as standing still. */
const slowestBytesPerSecond = 16 * 1024;

/** Any request may take that long, however small. */
const shortestDeadlineMs = 60_000;

/** What the kernel may still hold of an upload when our last write came back (Linux: net.ipv4.tcp_wmem, 4 MiB at most). */
const kernelBufferBytes = 4 * 1024 * 1024;

export type AttemptFacts = {stallMs: number; signal: AbortSignal | undefined};

/** Why we ended a request ourselves; `code` is read where errors are told by class. */
export class AttemptEnded extends Error {
  readonly code = 'ETIMEDOUT';
}

/**
 * One request, sent once: counts its bytes and ends it when it stands still.
 *
 * A look at the counters every now and then costs less than a timer that each piece of a body winds up anew.
 */
export class Attempt {
  sentBytes = 0;
  receivedBytes = 0;
  /** Bytes of this request left for the server, and no answer said that it did nothing with them. */
  mayHaveArrived = false;
  /** The answer's headers, lower case; undefined until there is an answer. */
  headers: Readonly<Record<string, string>> | undefined;

  /** What the request carried that no error may repeat: key id and session token. */
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
  #lookedAtMs = this.#startedAtMs;
  #activeAtMs = this.#startedAtMs;
  #activity = -1;

  constructor({stallMs, signal}: AttemptFacts) {
    this.#stallMs = stallMs;
    this.#outer = signal;
    this.#timer = setInterval(() => this.#look(), Math.min(1000, stallMs / 4));
    if (signal?.aborted) this.#follow();
    else signal?.addEventListener('abort', this.#follow);
  }

  /**
   * Runs `work`, and ends when this attempt must end though `work` does not: what looks for credentials before anything is
   * sent (a program, a role's server) knows no signal.
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

  /** Bytes that will go or come: the time a request may take grows with them. */
  expect(bytes: number): void {
    this.#expectedBytes += bytes;
  }

  watch(socket: Socket): void {
    this.#socket = socket;
  }

  uploaded(): void {
    this.#uploaded = true;
  }

  /** While `wait` runs, standing still is our own wish. */
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

  #look(): void {
    const nowMs = performance.now();
    const activity = this.sentBytes + this.receivedBytes + (this.#socket?.bytesRead ?? 0);
    if (this.#resting > 0) this.#restedMs += nowMs - this.#lookedAtMs;
    if (this.#resting > 0 || activity !== this.#activity) this.#activeAtMs = nowMs;
    this.#lookedAtMs = nowMs;
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

  /** After an upload the kernel sends on unseen: as long as it took to hand over that many bytes is no stall. */
  #quietAllowedMs(): number {
    if (!this.#uploaded || this.sentBytes === 0) return this.#stallMs;
    const uploadMs = this.#activeAtMs - this.#startedAtMs - this.#restedMs;
    return Math.max(this.#stallMs, uploadMs * Math.min(1, kernelBufferBytes / this.sentBytes));
  }
}
