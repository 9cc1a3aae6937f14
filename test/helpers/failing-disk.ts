import {fstatSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {readFully} from '../../src/lib/files.ts';
import {type DirectoryStoreOptions, openDirectoryStore, type Store} from '../../src/stores/index.ts';

export type FailingDisk = {
  store: Store;
  root: string;
  /** The keys whose bytes the disk does not return from now on; `all`: it is away. */
  fail(keys: readonly string[] | 'all', error?: NodeJS.ErrnoException): void;
};

/** As `read(2)` reports a sector that the disk cannot return. */
export const eio = (): NodeJS.ErrnoException =>
  Object.assign(new Error('EIO: i/o error, read'), {code: 'EIO', errno: -5, syscall: 'read'});

/** A directory store on a disk that cannot return the bytes of some files. */
export async function failingDisk(root: string): Promise<FailingDisk> {
  let failing: readonly string[] | 'all' = [];
  let thrown = eio();
  const isFailing = (descriptor: number) =>
    failing === 'all' ||
    failing.some((key) => statSync(join(root, key), {throwIfNoEntry: false})?.ino === fstatSync(descriptor).ino);
  const read: DirectoryStoreOptions['read'] = async (descriptor, into, position) => {
    if (isFailing(descriptor)) throw thrown;
    return readFully(descriptor, into, position);
  };
  return {
    root,
    store: await openDirectoryStore({root, create: true, read}),
    fail(keys, error = eio()) {
      failing = keys;
      thrown = error;
    },
  };
}
