import {existsSync, mkdtempSync, rmSync, statSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {openDirectoryStore, type Store} from '../../../src/stores/index.ts';

// A put is durable when it resolves: its bytes, its name, and the names of the folders above it. What is asked of
// the system is counted, because nothing else tells before a power cut.

let root: string;
let store: Store;
let putBack: () => void;
/** What was synced, in order: the inode, and whether the object of the test had its name by then. */
let synced: {call: 'sync' | 'datasync'; inode: number; isThere: boolean}[];
const object = () => join(root, 'a/b/c');

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'bkp-sync-'));
  store = await openDirectoryStore({root, create: false});
  synced = [];
  const handle = await open(root);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const {sync, datasync} = prototype;
  const watch = (call: 'sync' | 'datasync', original: () => Promise<void>) =>
    async function (this: FileHandle) {
      const {ino} = await this.stat();
      synced.push({call, inode: ino, isThere: existsSync(object())});
      await original.call(this);
    };
  prototype.sync = watch('sync', sync);
  prototype.datasync = watch('datasync', datasync);
  putBack = () => Object.assign(prototype, {sync, datasync});
});
afterEach(() => {
  putBack();
  rmSync(root, {recursive: true, force: true});
});

const inodeOf = (...parts: string[]) => statSync(join(root, ...parts)).ino;

test.each([true, false])(
  'a put syncs the file, then, when it has its name, its folder (ifAbsent: %s)',
  async (ifAbsent) => {
    await store.put('a/b/other', Buffer.from('1'));
    synced = [];
    await store.put('a/b/c', Buffer.from('1'), {ifAbsent});
    expect(synced).toEqual([
      {call: 'datasync', inode: inodeOf('a/b/c'), isThere: false},
      {call: 'sync', inode: inodeOf('a/b'), isThere: true},
    ]);
  },
);

test('a put into new folders syncs the parent of each new folder', async () => {
  await store.put('a/b/c', Buffer.from('1'), {ifAbsent: true});
  expect(synced).toEqual([
    {call: 'sync', inode: inodeOf('a'), isThere: false},
    {call: 'sync', inode: inodeOf(), isThere: false},
    {call: 'datasync', inode: inodeOf('a/b/c'), isThere: false},
    {call: 'sync', inode: inodeOf('a/b'), isThere: true},
  ]);
});

test('a put that finds the name taken syncs the folder, because the other writer may not have yet', async () => {
  await store.put('a/b/c', Buffer.from('1'), {ifAbsent: true});
  synced = [];
  expect(await store.put('a/b/c', Buffer.from('1'), {ifAbsent: true})).toBe('exists');
  expect(synced.at(-1)).toEqual({call: 'sync', inode: inodeOf('a/b'), isThere: true});
});

test('a removal syncs each folder once, and the parents of removed folders', async () => {
  await store.put('a/b/c', Buffer.from('1'));
  await store.put('a/b/d', Buffer.from('1'));
  await store.put('a/e', Buffer.from('1'));
  const folders = [inodeOf('a/b'), inodeOf('a')];
  synced = [];
  await store.delete(['a/b/c', 'a/b/d']);
  expect(synced.map(({call, inode, isThere}) => [call, folders.indexOf(inode), isThere])).toEqual([
    ['sync', 0, false],
    ['sync', 1, false],
  ]);
});
