import {absolutePath} from './absolute-path.ts';
import {type Credentials, hideCredentials} from './credentials.ts';
import {readPairs, usage} from './store-pairs.ts';

/** A store in a bucket. */
export type S3Address = {
  kind: 's3';
  bucket: string;
  /** Prefix of every key: `''` or `a/b`, without a leading or trailing slash. */
  root: string;
  /** Absent: the region in the environment of the AWS tools. */
  region?: string;
  /** URL without a trailing slash. Absent: the endpoint in the environment of the AWS tools, or AWS itself. */
  endpoint?: string;
  /** Absolute path of a PEM file with certificates to trust. */
  caCertFile?: string;
  /** False: only `caCertFile` is trusted. */
  caBuiltinRoots: boolean;
};

const keys = [
  'bucket',
  'region',
  'endpoint',
  'root',
  'access_key_id',
  'secret_access_key',
  'session_token',
  'ca_cert_file',
  'ca_builtin_roots',
] as const;
type Key = (typeof keys)[number];

/**
 * @param text what follows `s3::`
 * @throws BkpError `USAGE`; the message never contains a value
 */
export function parseS3(text: string, cwd: string): {address: S3Address; credentials: Credentials | undefined} {
  const values = readPairs('s3', text, keys);
  const bucket = trimmed(values, 'bucket');
  if (bucket === undefined) throw usage('the bucket is missing', 'write s3::bucket=NAME;…');
  const region = trimmed(values, 'region');
  if (region !== undefined && !/^[A-Za-z0-9._-]{1,64}$/.test(region)) {
    throw usage('the region is not the name of a region', 'write one like eu-central-1');
  }
  const endpoint = trimmed(values, 'endpoint');
  const caCertFile = values.get('ca_cert_file');
  const credentials = readCredentials(values);
  const address: S3Address = {
    kind: 's3',
    bucket: checkBucket(bucket),
    root: normaliseRoot(values.get('root') ?? ''),
    ...(region === undefined ? {} : {region}),
    ...(endpoint === undefined ? {} : {endpoint: normaliseEndpoint(endpoint)}),
    ...(caCertFile === undefined ? {} : {caCertFile: certificateFile(caCertFile, cwd)}),
    caBuiltinRoots: trusted(trimmed(values, 'ca_builtin_roots')),
  };
  if (!address.caBuiltinRoots && caCertFile === undefined) {
    throw usage('ca_builtin_roots=false leaves no certificate to trust', 'add ca_cert_file=FILE');
  }
  return {address, credentials};
}

/** @param text what follows `s3://` */
export function parseS3Url(text: string): S3Address {
  if (/[@:]/.test(text)) {
    throw usage(
      's3:// takes a bucket and a prefix, but no credentials and no host',
      'put s3::bucket=NAME;root=PREFIX;endpoint=URL;access_key_id=…;secret_access_key=… ' +
        'into the file that BKP_STORE_FILE names',
    );
  }
  if (/[?#;=]/.test(text)) {
    throw usage('s3:// takes a bucket and a prefix, but no parameters', 'write s3::bucket=NAME;root=PREFIX;key=value');
  }
  const slash = text.indexOf('/');
  const [bucket, root] = slash === -1 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)];
  return {kind: 's3', bucket: checkBucket(bucket), root: normaliseRoot(root), caBuiltinRoots: true};
}

/** The text that {@link parseS3} reads back, `s3::` included. */
export function describeS3({bucket, root, region, endpoint, caCertFile, caBuiltinRoots}: S3Address): string {
  const pairs = [
    ['bucket', bucket],
    ['region', region],
    ['endpoint', endpoint],
    ['root', root === '' ? undefined : root],
    ['ca_cert_file', caCertFile],
    ['ca_builtin_roots', caBuiltinRoots ? undefined : 'false'],
  ];
  return `s3::${pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])).join(';')}`;
}

/** Bucket names are unique across all of AWS, so its regional endpoints count as one server. */
export function serverOf({endpoint}: S3Address): string {
  return endpoint === undefined || /^https?:\/\/s3([.-][a-z0-9.-]+)?\.amazonaws\.com$/.test(endpoint)
    ? 'aws'
    : endpoint;
}

function trimmed(values: ReadonlyMap<Key, string>, key: Key): string | undefined {
  const value = values.get(key)?.trim();
  if (value === '') throw usage(`${key} is empty`, `write its value, or leave ${key} out`);
  return value;
}

/** Accepts more than AWS does for new buckets: old buckets and other servers also have capital letters and `_`. */
function checkBucket(bucket: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) return bucket;
  throw usage('the bucket is not the name of a bucket', 'write only its name: letters, digits, dots and -');
}

/** Every key begins with the root, so the rules for keys apply to it. */
function normaliseRoot(text: string): string {
  const parts = text
    .trim()
    .split('/')
    .filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..')) {
    throw usage(
      'the root has a part . or .., which has no meaning in a bucket',
      'write the complete prefix, like backups/shop',
    );
  }
  if (!parts.every((part) => /^[A-Za-z0-9._~%-]+$/.test(part))) {
    throw usage('the root has a character that bkp does not use in keys', 'use only letters, digits, - . _ ~ and /');
  }
  return parts.join('/');
}

function normaliseEndpoint(text: string): string {
  if (!/^https?:\/\//i.test(text)) {
    throw usage('the endpoint is not a URL', 'write endpoint=https://HOST:PORT, or http:// for a server without TLS');
  }
  const url = URL.parse(text);
  // Strict about characters: after a missing ; the next setting would become part of the URL.
  const plain =
    url !== null && /^([a-z0-9.-]+|\[[0-9a-f:.]+\])$/.test(url.hostname) && /^[\w/.~%-]*$/.test(url.pathname);
  if (!plain || `${url.username}${url.password}${url.search}${url.hash}` !== '') {
    throw usage('the endpoint is not just the URL of a server', 'write endpoint=https://HOST:PORT and nothing else');
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function certificateFile(path: string, cwd: string): string {
  if (path.trim() === '')
    throw usage('ca_cert_file is empty', 'write the path of a PEM file, or leave ca_cert_file out');
  const absolute = absolutePath(path, cwd, 'store: ca_cert_file');
  if (!absolute.includes(';')) return absolute;
  throw usage('the path of ca_cert_file contains a ;, which separates settings', 'move the file');
}

function trusted(text: string | undefined): boolean {
  if (text === undefined || text === 'true') return true;
  if (text === 'false') return false;
  throw usage('ca_builtin_roots is neither true nor false', 'write ca_builtin_roots=true or =false');
}

function readCredentials(values: ReadonlyMap<Key, string>): Credentials | undefined {
  const [accessKeyId, secretAccessKey, sessionToken] = (
    ['access_key_id', 'secret_access_key', 'session_token'] as const
  ).map((key) => {
    const value = trimmed(values, key);
    // They become part of an HTTP header.
    if (value === undefined || /^[\x21-\x7e]+$/.test(value)) return value;
    throw usage(
      `${key} has a character that no key has`,
      'copy it again: letters, digits and punctuation, without spaces',
    );
  });
  if (accessKeyId === undefined && secretAccessKey === undefined && sessionToken === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = accessKeyId === undefined ? 'access_key_id' : 'secret_access_key';
    throw usage(
      `${missing} is missing, and other credentials are set`,
      'write access_key_id and secret_access_key, or neither',
    );
  }
  return hideCredentials({accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : {sessionToken})});
}
