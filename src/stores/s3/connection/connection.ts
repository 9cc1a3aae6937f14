import type {S3Client} from '@aws-sdk/client-s3';
import {BkpError} from '../../../errors/index.ts';
import {Slots} from '../../../lib/async.ts';
import {type Clock, systemClock, systemRandom} from '../../../lib/clock.ts';
import type {Traffic} from '../../store.ts';
import {defaultRequestsAtOnce, defaultTimeouts, describeS3, type S3StoreOptions, type S3Timeouts} from '../options.ts';
import {Attempt} from './attempt.ts';
import {type CallFacts, s3Error} from './errors.ts';
import {type Failure, type FailureKind, failureOf, UnexpectedResponse, withoutSecrets} from './failure.ts';
import {type Feature, features, withoutWhich} from './features.ts';
import {type HandlerOptions, makeAgents, S3Http} from './http.ts';
import {Pace} from './pace.ts';
import {type Try, withRetries} from './retry.ts';

export type Sdk = typeof import('@aws-sdk/client-s3');

/** The SDK's name of a call, and what it does in words: `PutObject`, `write packs/…`. */
export type Call = {
  call: string;
  doing: string;
  /** Instead of the store's. */
  patienceMs?: number | undefined;
};

/** A failure of a kind that the caller handles itself. */
export class ExpectedFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** A thrown error, classified. */
type Classified = {error: unknown; failure: Failure; attempt: Attempt};

/** So often one call gets other credentials of the default chain: one that ends is followed by one that is valid. */
const renewalsAtMost = 2;

/**
 * The SDK passes this to the providers of its default chain, which otherwise read ~/.aws/credentials once in the life
 * of a process, for all clients: a scheduler would use expired keys for ever.
 */
const readsAgain = {ignoreCache: true};

/** `plain` creates the client that sends no checksums, which few servers need. */
type Clients = {client: S3Client; plain: () => S3Client; plainMade?: S3Client};

const isRefusal = (error: unknown): error is ExpectedFailure =>
  error instanceof ExpectedFailure && error.failure.kind === 'not supported';

/** Takes 60 ms and 34 MB, so it is loaded only for a store on S3. */
export const loadSdk = () => import('@aws-sdk/client-s3');

/**
 * One bucket at one server: sends calls, a limited number concurrently, retries them where that helps, and counts
 * them.
 */
export class S3Connection {
  readonly sdk: Sdk;
  readonly bucket: string;
  readonly description: string;
  readonly requestsAtOnce: number;
  readonly clock: Clock;
  /** Known from the responses to our own writes: a bucket without versions has no object lock. */
  keepsVersions: boolean | undefined;
  /** Features that this server turned out to lack. */
  readonly #lacking = new Set<Feature>();
  readonly #clients: Clients;
  readonly #facts: Omit<CallFacts, 'call' | 'doing' | 'wallMs'>;
  readonly #timeouts: S3Timeouts;
  readonly #signal: AbortSignal | undefined;
  readonly #slots: Slots;
  readonly #download: Pace;
  readonly #requests: Record<string, number> = {};
  /** Never repeated in an error. */
  readonly #secrets: Set<string>;
  #sentBytes = 0;
  #receivedBytes = 0;
  #known = false;
  /** The credentials are those of the default chain, which may find others later. */
  readonly #isChained: boolean;

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
    // By name, because an object that hides its fields from logs hides them from Object.values too.
    this.#isChained = options.credentials === undefined;
    const {accessKeyId, secretAccessKey, sessionToken} = options.credentials ?? {};
    this.#secrets = new Set([accessKeyId, secretAccessKey, sessionToken].filter((secret) => secret !== undefined));
    this.#timeouts = {...defaultTimeouts, ...options.timeouts};
    this.#signal = options.signal;
    this.#slots = new Slots(this.requestsAtOnce);
  }

  /**
   * Sends no request yet.
   * @throws BkpError if no region is known, or the certificate file cannot be read
   */
  static async open(options: S3StoreOptions): Promise<S3Connection> {
    const sdk = await loadSdk();
    const clock = options.clock ?? systemClock;
    const limits = () => options.limits?.() ?? {};
    const upload = new Pace(() => limits().uploadBytesPerSecond, clock);
    const download = new Pace(() => limits().downloadBytesPerSecond, clock);
    const connectMs = options.timeouts?.connectMs ?? defaultTimeouts.connectMs;
    const agents = makeAgents(options, options.requestsAtOnce ?? defaultRequestsAtOnce);
    const region = options.region ?? (options.endpoint === undefined ? undefined : 'us-east-1');
    const makeClient = (checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED') =>
      new sdk.S3Client({
        // bkp retries itself: the SDK's retries would be hidden, and a 412 after our own write, whose response was
        // lost, is one of the cases.
        maxAttempts: 1,
        requestHandler: new S3Http({agents, connectMs, upload}),
        requestChecksumCalculation: checksums,
        // bkp checks this itself, because a resumed body is checked as a whole.
        responseChecksumValidation: 'WHEN_REQUIRED',
        ...(region === undefined ? {} : {region}),
        ...(options.endpoint === undefined ? {} : {endpoint: options.endpoint, forcePathStyle: true}),
        ...(options.credentials === undefined ? readsAgain : {credentials: options.credentials}),
      });
    const client = makeClient('WHEN_SUPPORTED');
    const clients = {client, plain: () => makeClient('WHEN_REQUIRED')};
    const facts = {description: describeS3(options), bucket: options.bucket, call: '', doing: 'be opened', region: ''};
    const usedRegion = await client.config.region().catch((error: unknown) => {
      const {endpoint, caCertFile} = options;
      throw s3Error(failureOf(error), {...facts, endpoint, caCertFile, wallMs: clock.wallMs()});
    });
    return new S3Connection(sdk, clients, usedRegion, download, options);
  }

  /**
   * Makes one call, and retries it where that helps.
   * @param once sends the request; may run several times
   * @param expected kinds of failure that the caller handles itself
   * @throws ExpectedFailure of these kinds, otherwise BkpError, or the signal's reason
   */
  async call<T>(
    what: Call,
    once: (attempt: Attempt, current: Try) => Promise<T>,
    expected: readonly FailureKind[] = [],
  ): Promise<T> {
    for (let renewals = 0; ; renewals++) {
      const seen: {last?: Classified} = {};
      try {
        return await this.#retried(what, once, seen);
      } catch (error) {
        const {last} = seen;
        if (last === undefined || last.error !== error) throw error;
        const {failure, attempt} = last;
        if (renewals < renewalsAtMost && isOfCredentials(failure) && (await this.#hasOthers(attempt))) continue;
        if (expected.includes(failure.kind)) throw new ExpectedFailure(failure);
        throw this.error(failure, what);
      }
    }
  }

  /** @param seen gets the failure of the last try */
  async #retried<T>(
    what: Call,
    once: (attempt: Attempt, current: Try) => Promise<T>,
    seen: {last?: Classified},
  ): Promise<T> {
    const {stallMs} = this.#timeouts;
    const patienceMs = what.patienceMs ?? this.#timeouts.patienceMs;
    const signal = this.#signal;
    return withRetries(
      (current) =>
        this.#slots.run(async () => {
          signal?.throwIfAborted();
          const attempt = new Attempt({stallMs, signal});
          this.#requests[what.call] = (this.#requests[what.call] ?? 0) + 1;
          try {
            return await attempt.run(() => once(attempt, current));
          } catch (error) {
            const classified = failureIn(error, attempt);
            if (classified !== undefined) seen.last = classified;
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
  }

  /**
   * Credentials may be replaced while a process runs: a program writes new ones into the file of a profile, or a key is
   * rotated. The SDK looks for others by itself only if it knows when the ones that it has expire.
   * @returns whether the default chain now finds others than those that this attempt used
   */
  async #hasOthers({secrets}: Attempt): Promise<boolean> {
    if (!this.#isChained) return false;
    const {client, plainMade} = this.#clients;
    const search = new Attempt({stallMs: this.#timeouts.stallMs, signal: this.#signal});
    try {
      return await search.run(async () => {
        const found = await client.config.credentials({forceRefresh: true});
        await plainMade?.config.credentials({forceRefresh: true});
        const {accessKeyId, sessionToken} = found;
        return accessKeyId !== secrets[0] || sessionToken !== secrets[1];
      });
    } catch {
      this.#signal?.throwIfAborted();
      // The error of the request says what is wrong.
      return false;
    }
  }

  /**
   * Makes one call that uses the features `wanted` if the server has them. If the server refuses a feature, this
   * call is sent again without it, and so are all later calls.
   * @param once as in {@link call}; uses the features that `uses` names
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
        // The server understood the call without them, whatever its result.
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

  /** The missing features, in words. */
  get lacking(): readonly string[] {
    return [...this.#lacking].map((feature) => features[feature]);
  }

  get client(): S3Client {
    return this.has('checksums') ? this.#clients.client : this.plainClient;
  }

  /** The client that sends no checksums. */
  get plainClient(): S3Client {
    this.#clients.plainMade ??= this.#clients.plain();
    return this.#clients.plainMade;
  }

  error(failure: Failure, what: Call): BkpError {
    const message = withoutSecrets(failure.message, this.#secrets);
    return s3Error({...failure, message}, {...this.#facts, ...what, wallMs: this.clock.wallMs()});
  }

  /** Counts a received piece of a body, and waits as long as the limit requires. */
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

/** The attempt in the form in which the SDK passes it to {@link S3Http.handle}. */
export const by = (attempt: Attempt): HandlerOptions => ({attempt});

/** @returns undefined if no server caused the error: for a bug in bkp, and for a BkpError */
function failureIn(error: unknown, attempt: Attempt): Classified | undefined {
  if (error instanceof BkpError) return undefined;
  const cause: unknown = attempt.signal.aborted ? attempt.signal.reason : error;
  const failure = failureOf(cause, attempt.headers);
  const unexplained = failure.kind === 'unexpected response' && !(cause instanceof UnexpectedResponse);
  if (unexplained && attempt.headers === undefined) return undefined;
  // A refusal means that the server did nothing; after a 500 that is unknown.
  if (failure.status !== undefined && failure.status < 500) attempt.mayHaveArrived = false;
  if (failure.kind === 'throttled') attempt.mayHaveArrived = false;
  return {error, failure, attempt};
}

const isOfCredentials = ({kind}: Failure) => kind === 'expired' || kind === 'wrong key';
