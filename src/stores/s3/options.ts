import type {Clock} from '../../lib/clock.ts';

/** Who signs; absent = the AWS default chain: environment, profile, role. */
export type S3Credentials = {accessKeyId: string; secretAccessKey: string; sessionToken?: string};

export type S3Timeouts = {
  /** Until a connection stands: look-up of the name, TCP and TLS together. Default 5 s. */
  connectMs: number;
  /** Without a byte in either direction; what the limits make us wait does not count. Default 30 s. */
  stallMs: number;
  /** From the first failure of a call until it is given up; bytes that arrive in between start it anew. Default 60 s. */
  patienceMs: number;
};

/** Bytes a second in each direction, all requests together; absent = as fast as it goes. */
export type S3Limits = {uploadBytesPerSecond?: number; downloadBytesPerSecond?: number};

export type S3StoreOptions = {
  bucket: string;
  /** Below which all keys lie: `` or `a/b`, no slash at the ends. */
  root: string;
  /** Default: `us-east-1` when an endpoint is given, else what the AWS default chain says. */
  region?: string;
  /** A server that is not Amazon's, `https://host:port`; buckets are then part of the path. */
  endpoint?: string;
  credentials?: S3Credentials;
  /** PEM; trusted besides the built-in roots. */
  caCertFile?: string;
  /** Trust the roots that come with Node. Default true. */
  caBuiltinRoots?: boolean;
  /** Objects put as `retained` are locked for at least this long. Default: no lock. */
  lockDays?: number;
  /** Default 4: more gains nothing on two cores, and each holds a pack in memory. */
  requestsAtOnce?: number;
  /** Asked again and again, so that a change takes effect at once. */
  limits?: () => S3Limits;
  timeouts?: Partial<S3Timeouts>;
  /** Aborted, every request and every wait ends at once with its reason. */
  signal?: AbortSignal;
  /** Default: the system's. */
  clock?: Clock;
};

export const defaultTimeouts: S3Timeouts = {connectMs: 5000, stallMs: 30_000, patienceMs: 60_000};

export const defaultRequestsAtOnce = 4;

/** For people and for the journal; no secret is in it. Reads back as a store string. */
export function describeS3({bucket, region, endpoint, root}: S3StoreOptions): string {
  const parts = Object.entries({bucket, region, endpoint, root}).filter(([, value]) => value);
  return `s3::${parts.map(([name, value]) => `${name}=${value};`).join('')}`;
}
