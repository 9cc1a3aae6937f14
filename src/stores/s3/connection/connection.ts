import type {S3Client} from '@aws-sdk/client-s3';
import {BkpError} from '../../../errors/index.ts';
import {Slots} from '../../../lib/async.ts';
import {type Clock, systemClock, systemRandom} from '../../../lib/clock.ts';
import type {Traffic} from '../../store.ts';
import {defaultRequestsAtOnce, defaultTimeouts, describeS3, type S3StoreOptions, type S3Timeouts} from '../options.ts';
import {Attempt} from './attempt.ts';
import {type CallFacts, s3Error} from './errors.ts';
import {type Failure, type FailureKind, failureOf, WrongAnswer, withoutSecrets} from './failure.ts';
import {type Feature, features, withoutWhich} from './features.ts';
import {type HandedOn, makeAgents, S3Http} from './http.ts';
import {Pace} from './pace.ts';
import {type Try, withRetries} from './retry.ts';

export type Sdk = typeof import('@aws-sdk/client-s3');

/** A call's name as the SDK has it, and what it does for people: `PutObject`, `write packs/…`. */
export type Call = {call: string; doing: string};

/** A failure that the caller named as one it can deal with. */
export class ExpectedFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What was thrown, and what that means. */
type Told = {error: unknown; failure: Failure};

/** `plain` makes the one that sends no checksums, which few servers need. */
type Clients = {client: S3Client; plain: () => S3Client; plainMade?: S3Client};

const isRefusal = (error: unknown): error is ExpectedFailure =>
  error instanceof ExpectedFailure && error.failure.kind === 'not supported';

/** One bucket at one server: sends calls, so many at once, again where that helps, and counts them. */
export class S3Connection {
  readonly sdk: Sdk;
  readonly bucket: string;
  readonly description: string;
  readonly requestsAtOnce: number;
  readonly clock: Clock;
  /** What the answers to our own writes tell: a bucket without versions has no object lock. */
  keepsVersions: boolean | undefined;
  /** What this server was found not to have. */
  readonly #lacking = new Set<Feature>();
  readonly #clients: Clients;
  readonly #facts: Omit<CallFacts, 'call' | 'doing' | 'wallMs'>;
  readonly #timeouts: S3Timeouts;
  readonly #signal: AbortSignal | undefined;
  readonly #slots: Slots;
  readonly #download: Pace;
  readonly #requests: Record<string, number> = {};
  /** No error repeats them. */
  readonly #secrets: Set<string>;
  #sentBytes = 0;
  #receivedBytes = 0;
  #known = false;

  private constructor(sdk: Sdk, clients: Clients, region: string, download: Pace, options: S3StoreOptions) {
    this.sdk = sdk;
    this.#clients = clients;
    this.#download = download;
    this.bucket = options.bucket;
    this.description = describeS3(options);
    this.clock = options.clock ?? systemClock;
    this.requestsAtOnce = options.requestsAtOnce ?? defaultRequestsAtOnce;
    this.#facts = {
      description: this.description,
      bucket: options.bucket,
      region,
      endpoint: options.endpoint,
      caCertFile: options.caCertFile,
    };
    // By name: an object that hides its fields from logs hides them from Object.values too.
    const {accessKeyId, secretAccessKey, sessionToken} = options.credentials ?? {};
    this.#secrets = new Set([accessKeyId, secretAccessKey, sessionToken].filter((secret) => secret !== undefined));
    this.#timeouts = {...defaultTimeouts, ...options.timeouts};
    this.#signal = options.signal;
    this.#slots = new Slots(this.requestsAtOnce);
  }

  /**
   * Sends nothing yet.
   * @throws BkpError when no region is known, or the certificate file cannot be read
   */
  static async open(options: S3StoreOptions): Promise<S3Connection> {
    // Loading it takes 60 ms and 34 MB: only who has a store on S3 pays for that.
    const sdk = await import('@aws-sdk/client-s3');
    const clock = options.clock ?? systemClock;
    const limits = () => options.limits?.() ?? {};
    const upload = new Pace(() => limits().uploadBytesPerSecond, clock);
    const download = new Pace(() => limits().downloadBytesPerSecond, clock);
    const connectMs = options.timeouts?.connectMs ?? defaultTimeouts.connectMs;
    const agents = makeAgents(options, options.requestsAtOnce ?? defaultRequestsAtOnce);
    const region = options.region ?? (options.endpoint === undefined ? undefined : 'us-east-1');
    const makeClient = (checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED') =>
      new sdk.S3Client({
        // The retries are ours: the SDK's would be hidden, and a 412 that answers our own lost write is one of them.
        maxAttempts: 1,
        requestHandler: new S3Http({agents, connectMs, upload}),
        requestChecksumCalculation: checksums,
        // Ours too, because a body that was resumed is checked as one.
        responseChecksumValidation: 'WHEN_REQUIRED',
        ...(region === undefined ? {} : {region}),
        ...(options.endpoint === undefined ? {} : {endpoint: options.endpoint, forcePathStyle: true}),
        ...(options.credentials === undefined ? {} : {credentials: options.credentials}),
      });
    const client = makeClient('WHEN_SUPPORTED');
    const clients = {client, plain: () => makeClient('WHEN_REQUIRED')};
    const told = {description: describeS3(options), bucket: options.bucket, call: '', doing: 'be opened', region: ''};
    const usedRegion = await client.config.region().catch((error: unknown) => {
      const {endpoint, caCertFile} = options;
      throw s3Error(failureOf(error), {...told, endpoint, caCertFile, wallMs: clock.wallMs()});
    });
    return new S3Connection(sdk, clients, usedRegion, download, options);
  }

  /**
   * One call, sent again where that helps.
   * @param once sends it with {@link send}; may run several times
   * @param expected what the caller deals with itself
   * @throws ExpectedFailure of these kinds, else BkpError, or the signal's reason
   */
  async call<T>(
    what: Call,
    once: (attempt: Attempt, current: Try) => Promise<T>,
    expected: readonly FailureKind[] = [],
  ): Promise<T> {
    const seen: {last?: Told} = {};
    const {stallMs, patienceMs} = this.#timeouts;
    const signal = this.#signal;
    try {
      return await withRetries(
        (current) =>
          this.#slots.run(async () => {
            signal?.throwIfAborted();
            const attempt = new Attempt({stallMs, signal});
            this.#requests[what.call] = (this.#requests[what.call] ?? 0) + 1;
            try {
              return await attempt.run(() => once(attempt, current));
            } catch (error) {
              const told = failureIn(error, attempt);
              if (told !== undefined) seen.last = told;
              throw error;
            } finally {
              for (const secret of attempt.secrets) this.#secrets.add(secret);
              this.#known ||= attempt.headers !== undefined;
              this.#sentBytes += attempt.sentBytes;
              this.#receivedBytes += attempt.receivedBytes;
            }
          }),
        {
          clock: this.clock,
          random: systemRandom,
          patienceMs,
          signal,
          known: () => this.#known,
          failureOf: (error) => (seen.last !== undefined && seen.last.error === error ? seen.last.failure : undefined),
        },
      );
    } catch (error) {
      const told = seen.last;
      if (told === undefined || told.error !== error) throw error;
      const {failure} = told;
      if (expected.includes(failure.kind)) throw new ExpectedFailure(failure);
      throw this.error(failure, what);
    }
  }

  /**
   * One call that uses `wanted` where the server has it. What the server refuses it is taken not to have: the call is sent again
   * without, and so are all later ones.
   * @param once as in {@link call}; sends what `uses` says
   */
  async callWith<T>(
    what: Call,
    wanted: readonly Feature[],
    once: (uses: (feature: Feature) => boolean, attempt: Attempt, current: Try) => Promise<T>,
    expected: readonly FailureKind[] = [],
  ): Promise<T> {
    const used = wanted.filter((feature) => this.has(feature));
    const without = (left: readonly Feature[]) =>
      this.call(
        what,
        (attempt, current) => once((feature) => used.includes(feature) && !left.includes(feature), attempt, current),
        [...expected, 'not supported'],
      );
    let refusal: ExpectedFailure;
    try {
      return await without([]);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refusal = error;
    }
    for (const left of withoutWhich(used, refusal.failure)) {
      try {
        const result = await without(left);
        for (const feature of left) this.lack(feature);
        return result;
      } catch (error) {
        if (isRefusal(error)) continue;
        // It was understood without them, whatever came of it.
        if (error instanceof ExpectedFailure) for (const feature of left) this.lack(feature);
        throw error;
      }
    }
    if (expected.includes('not supported')) throw refusal;
    throw this.error(refusal.failure, what);
  }

  has(feature: Feature): boolean {
    return !this.#lacking.has(feature);
  }

  lack(feature: Feature): void {
    this.#lacking.add(feature);
  }

  /** In words. */
  get lacking(): readonly string[] {
    return [...this.#lacking].map((feature) => features[feature]);
  }

  get client(): S3Client {
    return this.has('checksums') ? this.#clients.client : this.plainClient;
  }

  /** Adds no checksum to what it sends. */
  get plainClient(): S3Client {
    this.#clients.plainMade ??= this.#clients.plain();
    return this.#clients.plainMade;
  }

  error(failure: Failure, what: Call): BkpError {
    const message = withoutSecrets(failure.message, this.#secrets);
    return s3Error({...failure, message}, {...this.#facts, ...what, wallMs: this.clock.wallMs()});
  }

  /** Counts a piece of a body that came, and waits as long as the limit asks for. */
  async received(bytes: number, attempt: Attempt): Promise<void> {
    attempt.receivedBytes += bytes;
    await attempt.rest(this.#download.take(bytes, attempt.signal));
  }

  traffic(): Traffic {
    return {
      requests: {...this.#requests},
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      ...(this.#lacking.size === 0 ? {} : {lacking: this.lacking}),
    };
  }
}

/** The attempt as the SDK hands it on to {@link S3Http.handle}. */
export const by = (attempt: Attempt): HandedOn => ({attempt});

/** @returns undefined for what no server said: a fault of ours, or an error that is one of ours already */
function failureIn(error: unknown, attempt: Attempt): Told | undefined {
  if (error instanceof BkpError) return undefined;
  const cause: unknown = attempt.signal.aborted ? attempt.signal.reason : error;
  const failure = failureOf(cause, attempt.headers);
  const unexplained = failure.kind === 'wrong answer' && !(cause instanceof WrongAnswer);
  if (unexplained && attempt.headers === undefined) return undefined;
  // A refusal says that nothing was done; a 500 says nothing.
  if (failure.status !== undefined && failure.status < 500) attempt.mayHaveArrived = false;
  if (failure.kind === 'throttled') attempt.mayHaveArrived = false;
  return {error, failure};
}
