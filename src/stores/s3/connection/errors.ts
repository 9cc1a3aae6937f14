import {BkpError, type ErrorCode, unreachable} from '../../../errors/index.ts';
import type {Failure} from './failure.ts';

/** The call that failed, for the words of the error. */
export type CallFacts = {
  /** The SDK's name of the call, `PutObject`. */
  call: string;
  /** What the call does, for people: `write packs/…`. */
  doing: string;
  description: string;
  bucket: string;
  region: string;
  endpoint: string | undefined;
  caCertFile: string | undefined;
  /** This machine's clock. */
  wallMs: number;
};

/** Permissions whose names in AWS policies are not `s3:` and the name of the call. */
const rightFor: Record<string, string> = {
  ListObjectsV2: 's3:ListBucket',
  HeadBucket: 's3:ListBucket',
  HeadObject: 's3:GetObject',
  DeleteObjects: 's3:DeleteObject',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
  GetBucketLifecycleConfiguration: 's3:GetLifecycleConfiguration',
  GetBucketEncryption: 's3:GetEncryptionConfiguration',
};

export const rightNeeded = (call: string) => rightFor[call] ?? `s3:${call}`;

type Words = {code: ErrorCode; what: string; next: string; retryable?: boolean};

/** Turns a failure into a BkpError with what, cause and next step. It contains no secret. */
export function s3Error(failure: Failure, facts: CallFacts): BkpError {
  const {code, what, next, retryable = false} = words(failure, facts);
  return new BkpError(code, what, {cause: causeText(failure), next, retryable, context: {call: facts.call}});
}

function causeText({name, message, status, requestId}: Failure): string {
  const reply = [status === undefined ? undefined : `HTTP ${status}`, requestId && `request ${requestId}`];
  const details = reply.filter((part) => part !== undefined && part !== '').join(', ');
  const text = message === name || message === '' ? name : `${name}: ${message}`;
  return details === '' ? text : `${text} (${details})`;
}

function words(failure: Failure, facts: CallFacts): Words {
  const {description, bucket, call, doing} = facts;
  const where = facts.endpoint ?? `Amazon S3 in ${facts.region}`;
  const couldNot = `the store ${description} could not ${doing}`;
  switch (failure.kind) {
    case 'no bucket':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `there is no bucket ${bucket} at ${where}`,
        next: 'create the bucket, or correct bucket=, region= and endpoint= in the store',
      };
    case 'wrong region': {
      const region = failure.region !== undefined && failure.region !== facts.region ? failure.region : undefined;
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the bucket ${bucket} is not in the region ${facts.region}`,
        next: region === undefined ? 'add the region of the bucket: region=…' : `add region=${region} to the store`,
      };
    }
    case 'no region':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `no region is known for the bucket ${bucket}`,
        next: 'add region=… to the store, or set AWS_REGION (for a server that is not Amazon’s: endpoint=…)',
      };
    case 'wrong key':
      return {
        code: 'STORE_DENIED',
        what: `${where} does not accept the access key`,
        next: 'check access_key_id and secret_access_key, and that the key belongs to this server and is active',
      };
    case 'expired':
      return {
        code: 'STORE_DENIED',
        what: `the session token for ${where} is no longer valid`,
        next: 'get new temporary credentials (for a profile with single sign-on: aws sso login), then try again',
      };
    case 'no credentials':
      return {
        code: 'STORE_DENIED',
        what: `no credentials were found for ${where}`,
        next:
          'add access_key_id and secret_access_key to the store, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ' +
          'or AWS_PROFILE',
      };
    case 'clock':
      return {
        code: 'STORE_DENIED',
        what: `the clock of this machine is ${skewText(facts.wallMs, failure.serverTimeMs)} that of ${where}`,
        next: 'set the clock (timedatectl set-ntp true), then try again',
      };
    case 'denied':
      return {
        code: 'STORE_DENIED',
        what: `${couldNot}: the access key is not allowed to`,
        next: `grant it ${rightNeeded(call)} on the bucket ${bucket}${hintFor(call)}`,
      };
    case 'retained':
      return {
        code: 'STORE_DENIED',
        what: `${couldNot}: the object is locked`,
        next: 'wait until its lock ends',
      };
    case 'no lock':
      return {
        code: 'STORE_REFUSED',
        what: `the bucket ${bucket} has no object lock, so its objects cannot be locked`,
        next:
          'create a bucket with object lock (often it can only be enabled at creation), ' +
          'or unset backup.object.store.lock',
      };
    case 'archived':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `${couldNot}: the object is in an archive storage class`,
        next:
          'restore it from the archive (aws s3api restore-object), then try again; ' +
          'remove the lifecycle rules from this bucket',
      };
    case 'full':
      return {
        code: 'STORE_FULL',
        what: `the store ${description} is full`,
        next: 'free space there or raise its quota, then try again: data that is already written is reused',
      };
    case 'throttled':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `${couldNot}: ${where} limits the request rate`,
        next: 'try again later, or run fewer operations concurrently on this bucket',
        retryable: true,
      };
    case 'refused connection':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `no server responds at ${where}`,
        next: 'check that the server is running, and the host and port in endpoint=',
        retryable: true,
      };
    case 'unknown host':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the host name of ${where} cannot be resolved`,
        next: 'correct endpoint= (or region=) in the store, and check the network of this machine',
        retryable: true,
      };
    case 'certificate':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the certificate of ${where} is not trusted`,
        next:
          facts.caCertFile === undefined
            ? 'add the certificate authority to the store: ca_cert_file=/path/to/ca.pem, ' +
              'or ca_builtin_roots=false to trust those of this system'
            : `check that ${facts.caCertFile} contains its authority, and that the certificate names this host`,
      };
    case 'no TLS':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `cannot establish a TLS connection to ${where}`,
        next: 'check that the server uses TLS there; if it does not: endpoint=http://…',
      };
    case 'connection':
    case 'server':
    case 'conflict':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: `try again; if it fails again, check the server and the connection to ${where}${
          facts.endpoint?.startsWith('http:') && failure.kind === 'connection' ? ' (it may require https)' : ''
        }`,
        retryable: true,
      };
    case 'not supported':
      return {
        code: 'STORE_REFUSED',
        what: `${couldNot}: ${where} does not support ${call} as bkp uses it`,
        next: 'bkp store check shows what this server lacks; docs/s3.md lists the tested servers',
      };
    case 'missing':
    case 'not found':
    case 'exists':
    case 'range':
    case 'refused':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: `${where} sent an unexpected response: bkp store check shows what this server can do`,
      };
    case 'unexpected response':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: 'check endpoint= (https or http, host, port), and that no proxy responds in place of the server',
      };
    default:
      return unreachable(failure.kind);
  }
}

const hintFor = (call: string) =>
  call === 'GetObject' || call === 'HeadObject'
    ? ', and s3:ListBucket (without it S3 reports a missing object as denied)'
    : '';

function skewText(wallMs: number, serverTimeMs: number | undefined): string {
  if (serverTimeMs === undefined) return 'too far from';
  const aheadSeconds = Math.round((wallMs - serverTimeMs) / 1000);
  return `${Math.abs(aheadSeconds)} s ${aheadSeconds < 0 ? 'behind' : 'ahead of'}`;
}
