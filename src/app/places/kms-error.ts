import {BkpError, type ErrorCode, systemCode, withoutQuote} from '../../errors/index.ts';

type CallFacts = {key: string; call: 'Encrypt' | 'Decrypt'};
type Words = {code: ErrorCode; what: string; next: string};

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html and its common errors. */
const kinds: Record<string, Kind> = {
  AccessDeniedException: 'denied',
  DisabledException: 'disabled',
  KMSInvalidStateException: 'state',
  NotFoundException: 'missing',
  InvalidArnException: 'missing',
  InvalidKeyUsageException: 'usage',
  UnsupportedOperationException: 'usage',
  CredentialsProviderError: 'no credentials',
  TokenProviderError: 'no credentials',
  MissingAuthenticationToken: 'no credentials',
  ExpiredToken: 'credentials',
  ExpiredTokenException: 'credentials',
  UnrecognizedClientException: 'credentials',
  InvalidClientTokenId: 'credentials',
  InvalidSignatureException: 'credentials',
  SignatureDoesNotMatch: 'credentials',
  IncompleteSignature: 'credentials',
  NotAuthorized: 'credentials',
  OptInRequired: 'credentials',
  RequestExpired: 'credentials',
};

type Kind =
  | 'denied'
  | 'disabled'
  | 'state'
  | 'missing'
  | 'usage'
  | 'no credentials'
  | 'credentials'
  | 'no region'
  | 'not KMS'
  | 'away';

type Thrown = {name?: unknown; message?: unknown; $metadata?: {httpStatusCode?: number}; errors?: unknown};

/** @returns the name that AWS has for the failure; undefined if the error is none of {@link kmsError} */
export const kmsNameOf = (error: unknown): string | undefined =>
  error instanceof BkpError && typeof error.context.kms === 'string' ? error.context.kms : undefined;

/** Turns a failure of the SDK into an error with its own next step. It contains no secret. */
export function kmsError(error: unknown, facts: CallFacts): BkpError {
  const thrown = (error ?? {}) as Thrown;
  const code = systemCode(error) ?? (Array.isArray(thrown.errors) ? systemCode(thrown.errors[0]) : undefined);
  const name = String(thrown.name === 'Error' || thrown.name === 'AggregateError' ? (code ?? 'Error') : thrown.name);
  const kind = kindOf(name, thrown);
  const words = wordsOf(kind, facts);
  const message = withoutQuote(String(thrown.message ?? ''));
  return new BkpError(words.code, words.what, {
    cause: message === '' || message === name ? name : `${name}: ${message}`,
    next: words.next,
    retryable: kind === 'away',
    context: {kms: name},
  });
}

function kindOf(name: string, {message, $metadata}: Thrown): Kind {
  const named = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (named !== undefined) return named;
  if (/region is missing/i.test(String(message))) return 'no region';
  const status = $metadata?.httpStatusCode;
  if (status === undefined || status >= 500 || status === 429 || /throttl|limitexceeded|unavailable/i.test(name)) {
    return 'away';
  }
  return 'not KMS';
}

/** What every way out but a new try needs. */
const otherWay = 'or open the vault with another secret: BKP_PASSWORD_FILE=kit.txt';

function wordsOf(kind: Kind, {key, call}: CallFacts): Words {
  const refused = (what: string, next: string): Words => ({code: 'KMS_DENIED', what, next});
  switch (kind) {
    case 'denied':
      return refused(
        `these AWS credentials may not use the KMS key ${key}`,
        `grant them kms:${call} in the policy of the key, ${otherWay}`,
      );
    case 'disabled':
      return refused(
        `the KMS key ${key} is disabled`,
        `enable it: aws kms enable-key --key-id ${idOf(key)}, ${otherWay}`,
      );
    case 'state':
      return refused(
        `the KMS key ${key} cannot be used in its state: it may be pending deletion`,
        `keep it: aws kms cancel-key-deletion --key-id ${idOf(key)}, then enable-key, ${otherWay}`,
      );
    case 'missing':
      return refused(
        `there is no KMS key ${key} in this account and region`,
        `correct vault.kms.key, AWS_REGION and AWS_PROFILE; if the key was deleted, open the vault with another ` +
          'secret (BKP_PASSWORD_FILE=kit.txt) and remove its slot',
      );
    case 'usage':
      return refused(
        `the KMS key ${key} does not encrypt data of others`,
        'use a symmetric key: aws kms create-key makes one',
      );
    case 'no credentials':
      return refused(
        'no AWS credentials were found for KMS',
        `set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ${otherWay}`,
      );
    case 'credentials':
      return refused(
        'KMS does not accept these AWS credentials',
        `get valid ones (aws sso login, AWS_PROFILE), check the clock of this machine, ${otherWay}`,
      );
    case 'no region':
      return refused(
        `no AWS region is known for the KMS key ${key}`,
        'set vault.kms.key to the ARN of the key, or set AWS_REGION',
      );
    case 'not KMS':
      return refused(
        `what answers for the KMS key ${key} did not do as KMS does`,
        `check AWS_ENDPOINT_URL_KMS, and AWS_ENDPOINT_URL, which may be for a store, ${otherWay}`,
      );
    case 'away':
      return {
        code: 'KMS_UNAVAILABLE',
        what: `AWS KMS does not answer for the key ${key}`,
        next: `try again, ${otherWay}`,
      };
  }
}

/** The commands that enable a key take no alias. */
const idOf = (key: string) => (key.includes('alias/') ? 'ID' : key);
