import {BkpError, type ErrorCode, unreachable} from '../../../errors/index.ts';
import type {Failure} from './failure.ts';

/** What was tried, for the error's words. */
export type CallFacts = {
  /** The SDK's name of the call, `PutObject`. */
  call: string;
  /** For people: `write packs/…`. */
  doing: string;
  description: string;
  bucket: string;
  region: string;
  endpoint: string | undefined;
  caCertFile: string | undefined;
  /** This machine's clock. */
  wallMs: number;
};

/** Rights as AWS policies name them, where they are not `s3:` and the call's name. */
const rightFor: Record<string, string> = {
  ListObjectsV2: 's3:ListBucket',
  HeadBucket: 's3:ListBucket',
  HeadObject: 's3:GetObject',
  DeleteObjects: 's3:DeleteObject',
  GetObjectLockConfiguration: 's3:GetBucketObjectLockConfiguration',
};

export const rightNeeded = (call: string) => rightFor[call] ?? `s3:${call}`;

type Words = {code: ErrorCode; what: string; next: string; retryable?: boolean};

/** A failure as one of our errors: what, cause, and what to do about it. Nothing of it is secret. */
export function s3Error(failure: Failure, facts: CallFacts): BkpError {
  const {code, what, next, retryable = false} = words(failure, facts);
  return new BkpError(code, what, {cause: causeText(failure), next, retryable, context: {call: facts.call}});
}

function causeText({name, message, status, requestId}: Failure): string {
  const answer = [status === undefined ? undefined : `HTTP ${status}`, requestId && `request ${requestId}`];
  const told = answer.filter((part) => part !== undefined && part !== '').join(', ');
  const said = message === name || message === '' ? name : `${name}: ${message}`;
  return told === '' ? said : `${said} (${told})`;
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
        next: 'make the bucket, or correct bucket=, region= and endpoint= in the store',
      };
    case 'wrong region': {
      const region = failure.region !== undefined && failure.region !== facts.region ? failure.region : undefined;
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the bucket ${bucket} is not in the region ${facts.region}`,
        next:
          region === undefined
            ? 'name the bucket’s region in the store: region=…'
            : `put region=${region} into the store`,
      };
    }
    case 'no region':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `no region is known for the bucket ${bucket}`,
        next: 'put region=… into the store, or set AWS_REGION (for a server that is not Amazon’s: endpoint=…)',
      };
    case 'wrong key':
      return {
        code: 'STORE_DENIED',
        what: `${where} does not accept the access key`,
        next: 'check access_key_id and secret_access_key (both, and that the key is of this server and not switched off)',
      };
    case 'expired':
      return {
        code: 'STORE_DENIED',
        what: `the session token for ${where} is no longer valid`,
        next: 'fetch new temporary credentials (for a profile with single sign-on: aws sso login), then try again',
      };
    case 'no credentials':
      return {
        code: 'STORE_DENIED',
        what: `no credentials were found for ${where}`,
        next: 'put access_key_id and secret_access_key into the store, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
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
        what: `${couldNot}: the access key has no right to`,
        next: `give it ${rightNeeded(call)} on the bucket ${bucket}${hintFor(call)}`,
      };
    case 'retained':
      return {
        code: 'STORE_DENIED',
        what: `${couldNot}: the object is under retention`,
        next: 'wait until its retention ends',
      };
    case 'no lock':
      return {
        code: 'STORE_REFUSED',
        what: `the bucket ${bucket} has no object lock, so nothing can be put under retention there`,
        next: 'make a bucket with object lock (it can often be switched on only then), or unset backup.object.store.lock',
      };
    case 'archived':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `${couldNot}: the object lies in an archive class`,
        next: 'bring it back from the archive (aws s3api restore-object), then try again; keep lifecycle rules off this bucket',
      };
    case 'full':
      return {
        code: 'STORE_FULL',
        what: `the store ${description} is full`,
        next: 'free space there or raise its quota, then try again: what is written already is used again',
      };
    case 'throttled':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `${couldNot}: ${where} asks for fewer requests`,
        next: 'try again later, or run fewer operations at once against this bucket',
        retryable: true,
      };
    case 'refused connection':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `nothing answers at ${where}`,
        next: 'is the server running, and is endpoint= right (host and port)?',
        retryable: true,
      };
    case 'unknown host':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the host of ${where} is not known`,
        next: 'correct endpoint= (or region=) in the store; is this machine on the network?',
        retryable: true,
      };
    case 'certificate':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `the certificate of ${where} is not trusted`,
        next:
          facts.caCertFile === undefined
            ? 'name the authority that signed it: ca_cert_file=/path/to/ca.pem in the store, or ca_builtin_roots=false for those of this system'
            : `does ${facts.caCertFile} hold the authority that signed it, and does the certificate name this host?`,
      };
    case 'no TLS':
      return {
        code: 'STORE_UNAVAILABLE',
        what: `no TLS connection to ${where} comes about`,
        next: 'does the server speak TLS there? If not: endpoint=http://…',
      };
    case 'connection':
    case 'server':
    case 'conflict':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: `try again; if it stays, look at the server and the line to ${where}${
          facts.endpoint?.startsWith('http:') && failure.kind === 'connection' ? ' (or does it want https?)' : ''
        }`,
        retryable: true,
      };
    case 'not supported':
      return {
        code: 'STORE_REFUSED',
        what: `${couldNot}: ${where} does not support ${call}, or not as bkp uses it`,
        next: 'bkp store check shows what this server lacks; docs/s3.md has the servers that were tested',
      };
    case 'missing':
    case 'not found':
    case 'exists':
    case 'range':
    case 'refused':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: `${where} answered what bkp did not expect: bkp store check tells what this server can do`,
      };
    case 'wrong answer':
      return {
        code: 'STORE_UNAVAILABLE',
        what: couldNot,
        next: 'is endpoint= right (https or http, host, port), and is nothing in between that answers for it?',
      };
    default:
      return unreachable(failure.kind);
  }
}

const hintFor = (call: string) =>
  call === 'GetObject' || call === 'HeadObject'
    ? ', and s3:ListBucket (without it an object that is not there is answered as denied)'
    : '';

function skewText(wallMs: number, serverTimeMs: number | undefined): string {
  if (serverTimeMs === undefined) return 'too far from';
  const aheadSeconds = Math.round((wallMs - serverTimeMs) / 1000);
  return `${Math.abs(aheadSeconds)} s ${aheadSeconds < 0 ? 'behind' : 'ahead of'}`;
}
