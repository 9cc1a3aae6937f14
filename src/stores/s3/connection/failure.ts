import {systemCode} from '../../../errors/index.ts';

/**
 * What can go wrong with one request, by what follows from it. Servers name the same thing differently, so this is decided
 * by name, then status, then words.
 */
export type FailureKind =
  | 'missing'
  /** 404 without a word: an object that is not there, when it was asked for by HEAD. */
  | 'not found'
  | 'exists'
  | 'conflict'
  | 'range'
  | 'throttled'
  | 'server'
  | 'connection'
  | 'refused connection'
  | 'unknown host'
  | 'certificate'
  | 'no TLS'
  | 'full'
  | 'no bucket'
  | 'wrong region'
  | 'wrong key'
  | 'expired'
  | 'no credentials'
  | 'no region'
  | 'clock'
  | 'denied'
  | 'retained'
  | 'no lock'
  | 'archived'
  | 'wrong answer'
  /** The server does not have the call, or something that the request used of it. */
  | 'not supported'
  | 'refused';

/** Facts of a failed request; no header, no signature, no key. */
export type Failure = {
  kind: FailureKind;
  /** The server's name for it, or the system's error code. */
  name: string;
  message: string;
  status?: number;
  requestId?: string;
  /** The server asks for that long a pause. */
  retryAfterMs?: number;
  /** The region that the bucket is in, where the answer names it. */
  region?: string;
  /** The server's clock, where the answer names it. */
  serverTimeMs?: number;
};

/** The answer was not what was asked for: a fault between us and the bytes, worth a second look. */
export class WrongAnswer extends Error {}

const kindOfName: Record<string, FailureKind> = {
  NoSuchKey: 'missing',
  NoSuchVersion: 'missing',
  NotFound: 'not found',
  PreconditionFailed: 'exists',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
  InvalidRange: 'range',
  SlowDown: 'throttled',
  SlowDownRead: 'throttled',
  SlowDownWrite: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  TooManyRequests: 'throttled',
  RequestLimitExceeded: 'throttled',
  BandwidthLimitExceeded: 'throttled',
  ServiceUnavailable: 'throttled',
  RequestTimeout: 'connection',
  IncompleteBody: 'connection',
  BadDigest: 'connection',
  XAmzContentChecksumMismatch: 'connection',
  XAmzContentSHA256Mismatch: 'connection',
  InsufficientStorage: 'full',
  XMinioStorageFull: 'full',
  QuotaExceeded: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  XAdminBucketQuotaExceeded: 'full',
  NoSuchBucket: 'no bucket',
  InvalidBucketName: 'no bucket',
  PermanentRedirect: 'wrong region',
  TemporaryRedirect: 'wrong region',
  AuthorizationHeaderMalformed: 'wrong region',
  IllegalLocationConstraintException: 'wrong region',
  SignatureDoesNotMatch: 'wrong key',
  InvalidAccessKeyId: 'wrong key',
  // versitygw, with status 404.
  XAdminUserNotFound: 'wrong key',
  // Wasabi, s3s.
  NotSignedUp: 'wrong key',
  InvalidSecurity: 'wrong key',
  ExpiredToken: 'expired',
  ExpiredTokenException: 'expired',
  TokenRefreshRequired: 'expired',
  InvalidToken: 'expired',
  CredentialsProviderError: 'no credentials',
  TokenProviderError: 'no credentials',
  RequestTimeTooSkewed: 'clock',
  RequestExpired: 'clock',
  ObjectLocked: 'retained',
  InvalidObjectState: 'archived',
  InternalError: 'server',
  NotImplemented: 'not supported',
  XNotImplemented: 'not supported',
  MethodNotAllowed: 'not supported',
  NotSupported: 'not supported',
  UnsupportedOperation: 'not supported',
  MissingContentMD5: 'not supported',
};

const kindOfSystemCode: Record<string, FailureKind> = {
  ECONNREFUSED: 'refused connection',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'unknown host',
  EHOSTUNREACH: 'refused connection',
  ENETUNREACH: 'refused connection',
  EPROTO: 'no TLS',
};

const certificateCode = /CERT|SSL|TLS|SIGNATURE/;
const fullWords = /no space|disk.{0,10}full|storage.{0,20}(full|limit|insufficient)|insufficient storage|quota/i;
const retainedWords = /WORM|object.?lock|retention|legal.?hold/i;

/** Backblaze B2: `Unsupported header 'x-amz-sdk-checksum-algorithm'`; older servers want a Content-MD5 for DeleteObjects. */
const unsupportedWords = /not (yet )?(implemented|supported)|unsupported|functionality that is not|content-?md5/i;

/** How the SDK says that an answer is no XML of S3's. */
const unparsed = /XML parse error|Deserialization error/;

/** Anything else in the place of a name is text of whoever answered. */
const isName = /^[A-Za-z0-9_.-]{1,64}$/;

const foreignAnswer = 'not an answer of S3';

type ThrownFacts = {
  name?: unknown;
  message?: unknown;
  Region?: unknown;
  $metadata?: {httpStatusCode?: number; requestId?: string};
  errors?: unknown;
};

/** @param headers of the answer, when there was one */
export function failureOf(error: unknown, headers: Readonly<Record<string, string>> = {}): Failure {
  const thrown = (error ?? {}) as ThrownFacts;
  // Node joins the failures of all addresses of a host.
  const code = systemCode(error) ?? (Array.isArray(thrown.errors) ? systemCode(thrown.errors[0]) : undefined);
  const {httpStatusCode: status, requestId} = thrown.$metadata ?? {};
  const isForeign = status !== undefined && unparsed.test(String(thrown.message));
  const given = String(status === undefined ? (code ?? thrown.name) : thrown.name);
  const name = isForeign ? foreignAnswer : isName.test(given) ? given : 'Error';
  const message = isForeign ? 'is a proxy or a login page in between?' : messageOf(thrown, name);
  const serverTimeMs = Date.parse(headers.date ?? '');
  const retryAfterMs = Number(headers['retry-after']) * 1000;
  const region = headers['x-amz-bucket-region'] ?? (typeof thrown.Region === 'string' ? thrown.Region : undefined);
  return {
    kind: kindOf(error, {name, code, status, message}),
    name,
    message,
    ...(status === undefined ? {} : {status}),
    // Some servers name it twice.
    ...(requestId === undefined ? {} : {requestId: requestId.split(',')[0]!}),
    ...(retryAfterMs > 0 ? {retryAfterMs} : {}),
    ...((region ?? expectedRegion(message)) === undefined ? {} : {region: (region ?? expectedRegion(message))!}),
    ...(Number.isNaN(serverTimeMs) ? {} : {serverTimeMs}),
  };
}

type Signs = {name: string; code: string | undefined; status: number | undefined; message: string};

function kindOf(error: unknown, {name, code, status, message}: Signs): FailureKind {
  if (error instanceof WrongAnswer) return 'wrong answer';
  if (status !== undefined) {
    if (status >= 500 && fullWords.test(message)) return 'full';
    if ((status === 403 || status === 400) && retainedWords.test(message)) {
      const lacksLock = /missing object lock|not enabled|ObjectLockConfiguration/i.test(message);
      return lacksLock || unsupportedWords.test(message) ? 'no lock' : 'retained';
    }
  }
  const named = kindOfName[name];
  if (named !== undefined) return named;
  if (status === 400 && unsupportedWords.test(message)) return 'not supported';
  if (name === foreignAnswer && status !== undefined && status < 500) return 'wrong answer';
  switch (status) {
    case undefined:
      if (/region is missing/i.test(message)) return 'no region';
      if (/credential/i.test(name)) return 'no credentials';
      if (code === undefined) return 'wrong answer';
      return kindOfSystemCode[code] ?? (certificateCode.test(code) ? 'certificate' : 'connection');
    case 301:
    case 307:
      return 'wrong region';
    case 401:
    case 403:
      return 'denied';
    case 404:
      // Only who says that it is the key which is missing is believed: any web server answers 404.
      return 'refused';
    case 405:
    case 501:
      return 'not supported';
    case 408:
      return 'connection';
    case 409:
      return 'conflict';
    case 412:
      return 'exists';
    case 416:
      return 'range';
    case 429:
    case 503:
      return 'throttled';
    case 507:
      return 'full';
    default:
      if (status < 300) return 'wrong answer';
      return status >= 500 ? 'server' : 'refused';
  }
}

/** One line, without the addresses and file names of OpenSSL's. */
function messageOf({message}: ThrownFacts, name: string): string {
  const text = String(message ?? '') || name;
  return withoutSecrets(
    text.replace(/^(?:write )?EPROTO [0-9A-F]+:error:[0-9A-F]+:|:[^:]*openssl[^:]*\.c:\d+:/g, '').trim(),
  );
}

/** `the region 'eu' is wrong; expecting 'us-east-1'`, in any server's quotes. */
const expectedRegion = (message: string) => /expecting ['"‘]?([a-z0-9-]+)/i.exec(message)?.[1];

/**
 * Key ids, signatures and tokens that a server may repeat in its message are taken out.
 * @param known those of this connection, however they look
 */
export function withoutSecrets(text: string, known: Iterable<string> = []): string {
  let left = text;
  for (const secret of known) if (secret !== '') left = left.replaceAll(secret, '…');
  return left
    .replace(/\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b/g, '…')
    .replace(/(Credential|Signature|X-Amz-[A-Za-z-]*(?:Token|Signature|Credential))\s*[=:]\s*[^\s,&;]+/gi, '$1=…')
    .replace(/\b[0-9a-f]{64}\b/g, '…');
}
