import {systemCode, withoutQuote} from '../../../errors/index.ts';

/**
 * Kinds of failure of one request, by their consequence. Servers name the same failure differently, so the kind is
 * decided by the error's name, then the status, then the words of the message.
 */
export type FailureKind =
  | 'missing'
  /** 404 without a body: the object of a HEAD request is missing. */
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
  | 'unexpected response'
  /** The server lacks the call, or a feature that the request used. */
  | 'not supported'
  | 'refused';

/** Facts of a failed request, without headers, signatures and keys. */
export type Failure = {
  kind: FailureKind;
  /** The server's name for the error, or the system's error code. */
  name: string;
  message: string;
  status?: number | undefined;
  requestId?: string | undefined;
  /** The pause that the server requested. */
  retryAfterMs?: number;
  /** The region of the bucket, if the response names it. */
  region?: string | undefined;
  /** The server's clock, if the response names it. */
  serverTimeMs?: number;
};

/**
 * The response does not match the request. Something between bkp and the server may have altered it, so it is worth
 * a retry.
 */
export class UnexpectedResponse extends Error {}

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
  // MinIO.
  InvalidTokenId: 'expired',
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

/**
 * Backblaze B2: `Unsupported header 'x-amz-sdk-checksum-algorithm'`; older servers want a Content-MD5 for
 * DeleteObjects.
 */
const unsupportedWords = /not (yet )?(implemented|supported)|unsupported|functionality that is not|content-?md5/i;

/** The SDK's words for a response that is not S3's XML. */
const unparsed = /XML parse error|Deserialization error/;

/** Anything else in place of a name is text from an unknown server. */
const isName = /^[A-Za-z0-9_.-]{1,64}$/;

const foreignResponse = 'not a response of S3';

type ThrownFacts = {
  name?: unknown;
  message?: unknown;
  Region?: unknown;
  $metadata?: {httpStatusCode?: number; requestId?: string};
  errors?: unknown;
};

/** @param headers of the response, if there was one */
export function failureOf(error: unknown, headers: Readonly<Record<string, string>> = {}): Failure {
  const thrown = (error ?? {}) as ThrownFacts;
  // Node joins the errors of all addresses of a host.
  const code = systemCode(error) ?? (Array.isArray(thrown.errors) ? systemCode(thrown.errors[0]) : undefined);
  const {httpStatusCode: status, requestId} = thrown.$metadata ?? {};
  const isForeign = status !== undefined && unparsed.test(String(thrown.message));
  const given = String(status === undefined ? (code ?? thrown.name) : thrown.name);
  const name = isForeign ? foreignResponse : isName.test(given) ? given : 'Error';
  const message = isForeign ? 'a proxy or a login page may have responded' : messageOf(thrown, name);
  const serverTimeMs = Date.parse(headers.date ?? '');
  const retryAfterMs = Number(headers['retry-after']) * 1000;
  const region = headers['x-amz-bucket-region'] ?? (typeof thrown.Region === 'string' ? thrown.Region : undefined);
  return {
    kind: kindOf(error, {name, code, status, message}),
    name,
    message,
    status,
    // Some servers send it twice.
    requestId: requestId?.split(',')[0],
    ...(retryAfterMs > 0 ? {retryAfterMs} : {}),
    region: region ?? expectedRegion(message),
    ...(Number.isNaN(serverTimeMs) ? {} : {serverTimeMs}),
  };
}

type Signs = {name: string; code: string | undefined; status: number | undefined; message: string};

function kindOf(error: unknown, {name, code, status, message}: Signs): FailureKind {
  if (error instanceof UnexpectedResponse) return 'unexpected response';
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
  if (name === foreignResponse && status !== undefined && status < 500) return 'unexpected response';
  switch (status) {
    case undefined:
      if (/region is missing/i.test(message)) return 'no region';
      if (/credential/i.test(name)) return 'no credentials';
      if (code === undefined) return 'unexpected response';
      return kindOfSystemCode[code] ?? (certificateCode.test(code) ? 'certificate' : 'connection');
    case 301:
    case 307:
      return 'wrong region';
    case 401:
    case 403:
      return 'denied';
    case 404:
      // Any web server responds with 404: only an error that names the key as missing counts as that.
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
      if (status < 300) return 'unexpected response';
      return status >= 500 ? 'server' : 'refused';
  }
}

/** One line, without the addresses and file names of OpenSSL. */
function messageOf({message}: ThrownFacts, name: string): string {
  const text = withoutQuote(String(message ?? '')) || name;
  return withoutSecrets(
    text.replace(/^(?:write )?EPROTO [0-9A-F]+:error:[0-9A-F]+:|:[^:]*openssl[^:]*\.c:\d+:/g, '').trim(),
  );
}

/** `the region 'eu' is wrong; expecting 'us-east-1'`, in the quotes of any server. */
const expectedRegion = (message: string) => /expecting ['"‘]?([a-z0-9-]+)/i.exec(message)?.[1];

/**
 * Removes key ids, signatures and tokens, which a server may repeat in its message.
 * @param known the secrets of this connection, whatever their form
 */
export function withoutSecrets(text: string, known: Iterable<string> = []): string {
  let left = text;
  for (const secret of known) if (secret !== '') left = left.replaceAll(secret, '…');
  return left
    .replace(/\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b/g, '…')
    .replace(/(Credential|Signature|X-Amz-[A-Za-z-]*(?:Token|Signature|Credential))\s*[=:]\s*[^\s,&;]+/gi, '$1=…')
    .replace(/\b[0-9a-f]{64}\b/g, '…');
}
