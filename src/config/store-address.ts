import {BkpError} from '../errors/index.ts';
import type {Credentials} from './credentials.ts';
import {parseS3, parseS3Url} from './s3-address.ts';
import {absolutePath} from './source.ts';
import {readPairs, usage} from './store-pairs.ts';

export type {Credentials} from './credentials.ts';

/** A store in a directory. `root` is absolute. */
export type DirectoryAddress = {kind: 'directory'; root: string};

/** A store in a bucket. */
export type S3Address = {
  kind: 's3';
  bucket: string;
  /** Where in the bucket: `''` or `a/b`, without a slash at its ends. */
  root: string;
  /** Absent: what the environment of the AWS tools says. */
  region?: string;
  /** URL without a slash at its end. Absent: AWS, or what the environment of the AWS tools says. */
  endpoint?: string;
  /** Absolute path of a PEM file with certificates to trust. */
  caCertFile?: string;
  /** False: only `caCertFile` is trusted. */
  caBuiltinRoots: boolean;
};

/** Where a store lies; never holds a secret. */
export type StoreAddress = DirectoryAddress | S3Address;

const accepted = 's3::bucket=NAME;root=PREFIX, s3://NAME/PREFIX, or fs::root=DIR';

/**
 * Reads what a user types for a store. Nothing is looked at: neither directory nor bucket need exist.
 * @param cwd what a relative path starts from
 * @returns the address, and the credentials if the text holds some; these show themselves to nobody by accident
 * @throws BkpError `USAGE` | `UNSUPPORTED`; its message never repeats what was typed, because a part of it may be secret
 */
export function parseStore(text: string, cwd: string): {address: StoreAddress; credentials?: Credentials} {
  const typed = text.trim();
  const settings = /^(\w+)::(.*)$/s.exec(typed);
  if (settings) {
    const scheme = settings[1]!.toLowerCase();
    if (scheme === 's3') return parseS3(settings[2]!, cwd);
    if (scheme === 'fs') return {address: parseDirectory(settings[2]!, cwd)};
    if (scheme === 'azblob' || scheme === 'gcs') {
      throw new BkpError('UNSUPPORTED', `store: this version knows s3 and fs, not ${scheme}`, {
        next: `write ${accepted}`,
      });
    }
    throw usage('what stands before :: is no kind of store that bkp knows', `write ${accepted}`);
  }
  const url = /^s3:\/\/(.*)$/is.exec(typed);
  if (url) return {address: parseS3Url(url[1]!)};
  if (typed === '') throw usage('the text is empty', `write ${accepted}`);
  throw usage('this names no store', `write ${accepted}`);
}

/** The address as text, for people and for a configuration; {@link parseStore} reads it back as the same address. */
export function describeStore(address: StoreAddress): string {
  if (address.kind === 'directory') return closed(`fs::root=${address.root}`);
  const {bucket, root, region, endpoint, caCertFile, caBuiltinRoots} = address;
  const pairs = [
    ['bucket', bucket],
    ['region', region],
    ['endpoint', endpoint],
    ['root', root === '' ? undefined : root],
    ['ca_cert_file', caCertFile],
    ['ca_builtin_roots', caBuiltinRoots ? undefined : 'false'],
  ];
  return closed(`s3::${pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])).join(';')}`);
}

/** A path may end in a space, and the end of a text is trimmed. */
function closed(text: string): string {
  return /\s$/.test(text) ? `${text};` : text;
}

/**
 * True when both name one place, however it is reached: region and certificates do not count, because one server has a
 * bucket once.
 */
export function sameStore(a: StoreAddress, b: StoreAddress): boolean {
  if (a.kind === 'directory' || b.kind === 'directory') {
    return a.kind === 'directory' && b.kind === 'directory' && a.root === b.root;
  }
  return a.bucket === b.bucket && a.root === b.root && serverOf(a) === serverOf(b);
}

/** AWS has one name for a bucket all over the world, so its regional endpoints are all the same server. */
function serverOf({endpoint}: S3Address): string {
  return endpoint === undefined || /^https?:\/\/s3([.-][a-z0-9.-]+)?\.amazonaws\.com$/.test(endpoint)
    ? 'aws'
    : endpoint;
}

function parseDirectory(text: string, cwd: string): DirectoryAddress {
  // QuestDB demands atomic_write_dir; here temporary files lie beside their targets, so it is read and not needed.
  const root = readPairs('fs', text, ['root', 'atomic_write_dir']).get('root');
  if (root === undefined || root.trim() === '') throw usage('the directory is missing', 'write fs::root=DIR');
  const absolute = absolutePath(root, cwd, 'store');
  if (absolute.includes(';')) {
    throw usage('the directory has a ; in its path, which no store setting can hold', 'choose another directory');
  }
  return {kind: 'directory', root: absolute};
}
