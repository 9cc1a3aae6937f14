import type {Clock} from '../../lib/clock.ts';

/** Signs the requests; absent = the AWS default chain: environment, profile, role. */
export type S3Credentials = {accessKeyId: string; secretAccessKey: string; sessionToken?: string};

export type S3Timeouts = {
  /** To establish a connection: DNS, TCP and TLS together. Default 5 s. */
  connectMs: number;
  /** Without a byte in either direction; waiting for the limits does not count. Default 30 s. */
  stallMs: number;
  /** From the first failure of a call until bkp gives up; progress restarts it. Default 60 s. */
  patienceMs: number;
};

/** Bytes a second in each direction, for all requests together; absent = no limit. */
export type S3Limits = {uploadBytesPerSecond?: number; downloadBytesPerSecond?: number};

export type S3StoreOptions = {
  bucket: string;
  /** The prefix of all keys: empty or `a/b`, without slashes at the ends. */
  root: string;
  /** Default: `us-east-1` with an endpoint, otherwise the region of the AWS default chain. */
  region?: string;
  /** A server that is not Amazon's, `https://host:port`; the bucket is then part of the path. */
  endpoint?: string;
  credentials?: S3Credentials;
  /** PEM; trusted in addition to the built-in roots. */
  caCertFile?: string;
  /** Trust the roots that come with Node. Default true. */
  caBuiltinRoots?: boolean;
  /** Objects put as `retained` are locked for at least this long. Default: no lock. */
  lockDays?: number;
  /** Concurrent requests. Default 4: more are not faster on two cores, and each holds a pack in memory. */
  requestsAtOnce?: number;
  /** Read for every piece of a body, so that a change takes effect immediately. */
  limits?: () => S3Limits;
  timeouts?: Partial<S3Timeouts>;
  /** When it is aborted, every request and every wait ends immediately with its reason. */
  signal?: AbortSignal;
  /** Default: the system's. */
  clock?: Clock;
  /** Consecutive pages of a listing without a key, after which it counts as endless. Default 10,000. */
  emptyPagesAtMost?: number;
};

/**
 * A bucket with versions sends pages without a key where many objects were removed, each for a thousand or more. A
 * listing that is given up too early stops all backups; one that never ends does so too, but says nothing.
 */
export const defaultEmptyPages = 10_000;

export const defaultTimeouts: S3Timeouts = {connectMs: 5000, stallMs: 30_000, patienceMs: 60_000};

export const defaultRequestsAtOnce = 4;

/** For people and for the journal, without secrets. It can be parsed as a store address. */
export function describeS3({bucket, region, endpoint, root}: S3StoreOptions): string {
  const parts = Object.entries({bucket, region, endpoint, root}).filter(([, value]) => value);
  return `s3::${parts.map(([name, value]) => `${name}=${value};`).join('')}`;
}
