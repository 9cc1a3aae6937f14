import {mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {readFully} from '../../../src/lib/files.ts';
import {openDirectoryStore, putContent} from '../../../src/stores/index.ts';
import {eio, type FailingDisk, failingDisk} from '../../helpers/failing-disk.ts';

// A disk that cannot return the bytes of one object is not a disk that is away.

let folder: string;
let disk: FailingDisk;
beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'bkp-unreadable-')));
  disk = await failingDisk(folder);
  await disk.store.put('packs/ab/one', Buffer.from('one'));
  await disk.store.put('packs/cd/two', Buffer.from('two'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const named = (code: string, errno: number) => Object.assign(new Error(code), {code, errno});

test.each([
  ['EIO', eio()],
  ['EBADMSG, which Node has no name for', named('Unknown system error -74', -74)],
  ['EUCLEAN, which Node has no name for', named('Unknown system error -117', -117)],
])('an object that the disk does not return is damaged: %s', async (_, error) => {
  if (process.platform !== 'linux' && error.errno !== -5) return;
  disk.fail(['packs/ab/one'], error);
  for (const range of [undefined, {start: 1, end: 2}]) {
    await expect(disk.store.get('packs/ab/one', range)).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: 'packs/ab/one is damaged: it cannot be read, but other objects of the store can',
      next: expect.stringContaining(`the disk that holds ${folder}`),
      context: {key: 'packs/ab/one'},
    });
  }
  expect(Buffer.from(await disk.store.get('packs/cd/two')).toString()).toBe('two');
});

test('a disk that returns no object is away: nothing is damaged', async () => {
  disk.fail('all');
  await expect(disk.store.get('packs/ab/one')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('what can be opened but says nothing is no sign that the disk is there', async () => {
  await disk.store.put('damaged/ef', new Uint8Array());
  disk.fail(['packs/ab/one', 'packs/cd/two']);
  await expect(disk.store.get('packs/ab/one')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('one readable object among unreadable ones is enough', async () => {
  await disk.store.put('packs/ef/three', Buffer.from('three'));
  disk.fail(['packs/ab/one', 'packs/cd/two']);
  await expect(disk.store.get('packs/ab/one')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
});

test.each(['EACCES', 'ESTALE', 'ETIMEDOUT', 'EMFILE'])('%s is not damage', async (code) => {
  disk.fail(['packs/ab/one'], named(code, -1000));
  await expect(disk.store.get('packs/ab/one')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('an object that is returned when asked again is not damaged', async () => {
  let fails = 1;
  const store = await openDirectoryStore({
    root: folder,
    create: false,
    read: async (...args) => {
      if (fails-- > 0) throw eio();
      return readFully(...args);
    },
  });
  expect(Buffer.from(await store.get('packs/ab/one')).toString()).toBe('one');
});

test('an unreadable object is written again, and can then be read', async () => {
  disk.fail(['packs/ab/one']);
  // The new file is another one than the failing disk knows.
  const before = disk.store.get('packs/ab/one');
  await expect(before).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await putContent(disk.store, 'packs/ab/one', Buffer.from('one'));
  disk.fail([]);
  expect(Buffer.from(await disk.store.get('packs/ab/one')).toString()).toBe('one');
});

test('files of others count too, and a folder in the place of an object is still no fault of the disk', async () => {
  mkdirSync(join(folder, 'packs/ab/folder'));
  writeFileSync(join(folder, 'README'), 'by hand');
  disk.fail(['packs/ab/one', 'packs/cd/two']);
  await expect(disk.store.get('packs/ab/one')).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await expect(disk.store.get('packs/ab/folder')).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('is a folder'),
  });
});
