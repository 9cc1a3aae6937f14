import {BkpError} from '../../errors/index.ts';
import {absolutePath} from './absolute-path.ts';
import type {Credentials} from './credentials.ts';
import {describeS3, parseS3, parseS3Url, type S3Address, serverOf} from './s3.ts';
import {readPairs, usage} from './store-pairs.ts';

/** A store in a directory. `root` is absolute. */
export type DirectoryAddress = {kind: 'directory'; root: string};

/** Where a store is; it never contains a secret. */
export type StoreAddress = DirectoryAddress | S3Address;

const accepted = 's3::bucket=NAME;root=PREFIX, s3://NAME/PREFIX, or fs::root=DIR';

/**
 * Reads what a user types for a store. Nothing is opened: neither the directory nor the bucket need exist.
 * @param cwd the directory that a relative path starts from
 * @returns the address, and the credentials if the text contains any; logs and JSON do not show these
 * @throws BkpError `USAGE` | `UNSUPPORTED`; the message never repeats the text, because any part of it may be a secret
 */
export function parseStore(text: string, cwd: string): {address: StoreAddress; credentials?: Credentials | undefined} {
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
    throw usage('the word before :: is not a kind of store that bkp knows', `write ${accepted}`);
  }
  const url = /^s3:\/\/(.*)$/is.exec(typed);
  if (url) return {address: parseS3Url(url[1]!)};
  if (typed === '') throw usage('the text is empty', `write ${accepted}`);
  throw usage('the text is not the address of a store', `write ${accepted}`);
}

/** The address as text, for people and for a configuration; {@link parseStore} reads it back as the same address. */
export function describeStore(address: StoreAddress): string {
  const text = address.kind === 'directory' ? `fs::root=${address.root}` : describeS3(address);
  // parseStore trims the text, and a path may end in a space.
  return /\s$/.test(text) ? `${text};` : text;
}

/**
 * Whether both addresses mean the same store. Region and certificates are ignored, because bucket names are unique
 * within a server.
 */
export function sameStore(a: StoreAddress, b: StoreAddress): boolean {
  if (a.kind === 'directory' || b.kind === 'directory') {
    return a.kind === 'directory' && b.kind === 'directory' && a.root === b.root;
  }
  return a.bucket === b.bucket && a.root === b.root && serverOf(a) === serverOf(b);
}

function parseDirectory(text: string, cwd: string): DirectoryAddress {
  // QuestDB requires atomic_write_dir. bkp accepts it and ignores it: it writes temporary files next to their targets.
  const root = readPairs('fs', text, ['root', 'atomic_write_dir']).get('root');
  if (root === undefined || root.trim() === '') throw usage('the directory is missing', 'write fs::root=DIR');
  const absolute = absolutePath(root, cwd, 'store');
  if (absolute.includes(';')) {
    throw usage('the path of the directory contains a ;, which separates settings', 'choose another directory');
  }
  return {kind: 'directory', root: absolute};
}
