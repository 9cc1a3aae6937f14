import {execFile} from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {openDirectoryStore, probeDirectory} from '../../../src/stores/index.ts';
import {vaultLayout} from '../../../src/vault/index.ts';
import {storeContract} from '../contract.ts';

const run = promisify(execFile);
let folder: string;
let opened = 0;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'bkp-store-')));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const files = (root: string) => readdirSync(root, {recursive: true, encoding: 'utf8'}).sort();

const noLinks = async () => {
  throw Object.assign(new Error('operation not permitted'), {code: 'EPERM'});
};

describe('the contract', () =>
  storeContract(() => openDirectoryStore({root: join(folder, `${opened++}`), create: true})));

describe('the contract, on a file system without hard links', () =>
  storeContract(() => openDirectoryStore({root: join(folder, `${opened++}`), create: true, link: noLinks})));

test('only the objects stay in the folder, and empty folders are removed', async () => {
  for (const link of [undefined, noLinks]) {
    const root = join(folder, `${opened++}`);
    const store = await openDirectoryStore({root, create: true, ...(link === undefined ? {} : {link})});
    await store.put('a/b/c', Buffer.from('1'), {ifAbsent: true});
    await store.put('a/b/c', Buffer.from('1'), {ifAbsent: true});
    await store.put('a/d', Buffer.from('1'));
    expect(files(root)).toEqual(['a', 'a/b', 'a/b/c', 'a/d']);
    await store.delete(['a/b/c']);
    expect(files(root)).toEqual(['a', 'a/d']);
    await store.delete(['a/d']);
    expect(files(root)).toEqual([]);
  }
});

test('a claim of an ended process does not block writers forever', async () => {
  const store = await openDirectoryStore({root: folder, create: false, link: noLinks});
  const claim = join(folder, '.bkp#claim#key');
  writeFileSync(claim, '');
  utimesSync(claim, new Date(0), new Date(0));
  expect(await store.put('key', Buffer.from('1'), {ifAbsent: true})).toBe('written');
  expect(files(folder)).toEqual(['key']);
});

test('temporary files are never listed, and a write removes old ones from its folder', async () => {
  mkdirSync(join(folder, 'a'));
  const old = join(folder, 'a', '.bkp#1.00');
  const young = join(folder, 'a', '.bkp#2.00');
  for (const path of [old, young]) writeFileSync(path, 'half');
  utimesSync(old, new Date(0), new Date(0));
  const store = await openDirectoryStore({root: folder, create: false});
  const listed = [];
  for await (const {key} of store.list('')) listed.push(key);
  expect(listed).toEqual([]);
  await store.put('a/b', Buffer.from('1'));
  expect(files(folder)).toEqual(['a', 'a/.bkp#2.00', 'a/b']);
});

test('a sweep removes old temporary files and empty folders that listings came across', async () => {
  const layout = {isObject: () => false, isFolder: (key: string) => key === 'locks', objectsIn: () => undefined};
  for (const path of ['locks/1', 'locks/2', 'locks/3', 'locks/4', 'other'])
    mkdirSync(join(folder, path), {recursive: true});
  const old = ['locks/1/.bkp#1.00', 'locks/4/.bkp#1.00', 'other/.bkp#1.00'].map((path) => join(folder, path));
  for (const path of [...old, join(folder, 'locks/2/.bkp#2.00')]) writeFileSync(path, 'half');
  writeFileSync(join(folder, 'locks/4/00000000'), 'a lease');
  for (const path of old) utimesSync(path, new Date(0), new Date(0));
  const store = await openDirectoryStore({root: folder, create: false, layout});
  await store.sweep!();
  expect(files(folder)).toHaveLength(11);
  for await (const {key} of store.list('')) expect(key).toBe('locks/4/00000000');
  await store.sweep!();
  expect(files(folder)).toEqual([
    'locks',
    'locks/2',
    'locks/2/.bkp#2.00',
    'locks/4',
    'locks/4/00000000',
    'other',
    'other/.bkp#1.00',
  ]);
});

test('a host whose clock is days ahead does not remove what another one is writing', async () => {
  mkdirSync(join(folder, 'a'));
  writeFileSync(join(folder, 'a', '.bkp#2.00'), 'half');
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 3 * 86_400_000});
  onTestFinished(() => void vi.useRealTimers());
  const store = await openDirectoryStore({root: folder, create: false});
  await store.put('a/b', Buffer.from('1'));
  expect(files(folder)).toEqual(['a', 'a/.bkp#2.00', 'a/b']);
});

test('files that file systems and file managers create are not listed', async () => {
  mkdirSync(join(folder, 'lost+found'));
  writeFileSync(join(folder, 'lost+found', 'x'), '');
  writeFileSync(join(folder, '.DS_Store'), '');
  writeFileSync(join(folder, 'my photo.jpg'), '');
  const store = await openDirectoryStore({root: folder, create: false});
  const listed = [];
  for await (const {key} of store.list('')) listed.push(key);
  expect(listed).toEqual(['my photo.jpg']);
});

test('what has no key in a folder of the vault is not listed; elsewhere the folder is in use', async () => {
  const shop = '.backups/collections/shop';
  for (const path of [`${shop}/one copy`, `${shop}/one`, 'index', 'my photos']) {
    mkdirSync(join(folder, path), {recursive: true});
  }
  const copies = [`${shop}/one copy/manifest`, `${shop}/one/manifest (conflicted copy)`, 'index/abc (1)'];
  for (const path of [...copies, `${shop}/one/manifest`, 'my photos/1.jpg', 'notes (1).txt']) {
    writeFileSync(join(folder, path), '1');
  }
  const store = await openDirectoryStore({root: folder, create: false, layout: vaultLayout});
  const keys = async (prefix: string) => {
    const listed = [];
    for await (const {key} of store.list(prefix)) listed.push(key);
    return listed;
  };
  expect(await keys('')).toEqual([`${shop}/one/manifest`, 'my photos/1.jpg', 'notes (1).txt']);
  expect(await keys('.backups/')).toEqual([`${shop}/one/manifest`]);
});

test('a missing root is created only on request', async () => {
  const root = join(folder, 'x', 'y');
  await expect(openDirectoryStore({root, create: false})).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  const store = await openDirectoryStore({root, create: true});
  expect(store.description).toBe(`fs::root=${root}`);
});

test('a root that is a file, or is below a file, is refused', async () => {
  writeFileSync(join(folder, 'file'), '');
  for (const root of [join(folder, 'file'), join(folder, 'file', 'below')]) {
    for (const create of [true, false]) {
      await expect(openDirectoryStore({root, create})).rejects.toMatchObject({code: 'STORE_REFUSED'});
    }
  }
});

test('a root that disappears is not created again, and no object is reported as missing', async () => {
  const root = join(folder, 'disk');
  const store = await openDirectoryStore({root, create: true});
  await store.put('a/b', Buffer.from('1'));
  rmSync(root, {recursive: true});
  const unavailable = {code: 'STORE_UNAVAILABLE', next: expect.stringContaining('mounted')};
  await expect(store.put('a/c', Buffer.from('1'))).rejects.toMatchObject(unavailable);
  await expect(store.get('a/b')).rejects.toMatchObject(unavailable);
  await expect(store.stat('a/b')).rejects.toMatchObject(unavailable);
  await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(unavailable);
  expect(readdirSync(folder)).toEqual([]);
});

test('a link that leads out of the store is not followed for writing', async () => {
  const outside = join(folder, 'outside');
  const root = join(folder, 'store');
  mkdirSync(outside);
  mkdirSync(root);
  symlinkSync(outside, join(root, 'packs'));
  const store = await openDirectoryStore({root, create: false});
  await expect(store.put('packs/x', Buffer.from('1'))).rejects.toMatchObject({code: 'STORE_REFUSED'});
  expect(readdirSync(outside)).toEqual([]);
});

// Root may write everywhere, so there is nothing to see.
test.skipIf(process.getuid?.() === 0)('a folder without the right to write is told with what to do', async () => {
  const store = await openDirectoryStore({root: folder, create: false});
  chmodSync(folder, 0o500);
  try {
    await expect(store.put('x', Buffer.from('1'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      next: expect.stringContaining(folder),
    });
  } finally {
    chmodSync(folder, 0o700);
  }
});

test('a full disk is STORE_FULL and leaves no file behind; a read-only disk is STORE_UNAVAILABLE', async (context) => {
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder]).then(
    () => true,
    () => false,
  );
  if (!mounted) context.skip('mounting a tmpfs needs root');
  try {
    const store = await openDirectoryStore({root: folder, create: false});
    await store.put('first', Buffer.alloc(1000));
    for (const ifAbsent of [true, false]) {
      await expect(store.put('large', Buffer.alloc(1024 * 1024), {ifAbsent})).rejects.toMatchObject({
        code: 'STORE_FULL',
      });
      expect(files(folder)).toEqual(['first']);
    }
    await run('mount', ['-o', 'remount,ro', folder]);
    await expect(store.put('second', Buffer.alloc(10))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      next: expect.stringContaining('read-only'),
    });
    const points = await probeDirectory(folder);
    expect(points.find(({what}) => what === 'writable')).toMatchObject({ok: false, next: expect.any(String)});
  } finally {
    await run('umount', [folder]);
  }
});

test('a write succeeds although another process removes its empty folder', async () => {
  const [one, two] = await Promise.all([1, 2].map(() => openDirectoryStore({root: folder, create: false})));
  const writing = (async () => {
    for (let n = 0; n < 40; n++) await one!.put(`a/b/${n % 2}`, Buffer.from(`${n}`));
  })();
  const removing = (async () => {
    for (let n = 0; n < 40; n++) await two!.delete(['a/b/0', 'a/b/1']);
  })();
  await Promise.all([writing, removing]);
  await one!.put('a/b/last', Buffer.from('1'));
  expect(Buffer.from(await two!.get('a/b/last')).toString()).toBe('1');
});

describe('the probe', () => {
  test('passes every check for a good folder, and leaves no file behind', async () => {
    const points = await probeDirectory(folder);
    expect(points.map(({what}) => what)).toEqual(['folder', 'writable', 'atomic link', 'folder sync', 'free space']);
    expect(points.filter(({ok}) => !ok)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('reports a missing folder with a next step', async () => {
    const root = join(folder, 'none');
    expect(await probeDirectory(root)).toEqual([
      {what: 'folder', ok: false, detail: expect.stringContaining('ENOENT'), next: `mkdir -p ${root}`},
    ]);
  });
});
