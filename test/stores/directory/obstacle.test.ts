import {execFileSync} from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {openDirectoryStore, type Store} from '../../../src/stores/index.ts';
import {vaultLayout} from '../../../src/vault/index.ts';

// What is in the place of an object and is not a file is damage of that object, and never silence.

/** Paths whose facts, or whose entries, the disk does not return. */
const lost = vi.hoisted(() => ({
  paths: new Set<string>(),
  failing:
    (call: (path: string, ...rest: never[]) => unknown) =>
    (path: string, ...rest: never[]) => {
      if (lost.paths.has(path.replace(/\/$/, '')))
        throw Object.assign(new Error('EIO: i/o error'), {code: 'EIO', errno: -5});
      return call(path, ...rest);
    },
}));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return {...fs, lstatSync: lost.failing(fs.lstatSync as never), readdirSync: lost.failing(fs.readdirSync as never)};
});
vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  return {
    ...fs,
    lstat: async (...args: [string]) => lost.failing(fs.lstat as never)(...args),
    readdir: async (...args: [string]) => lost.failing(fs.readdir as never)(...args),
  };
});

let root: string;
let store: Store;
beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'bkp-obstacle-')));
  store = await openDirectoryStore({root, create: true, layout: vaultLayout});
  await store.put('bkp.json', Buffer.from('{}'));
});
afterEach(() => {
  lost.paths.clear();
  rmSync(root, {recursive: true, force: true});
});

const pack = `packs/ab/ab${'0'.repeat(62)}`;
const folder = '.backups/collections/c/20260101000000Z_full';
const manifest = `${folder}/manifest`;

const keysIn = async (prefix: string) => {
  const keys: string[] = [];
  for await (const {key} of store.list(prefix)) keys.push(key);
  return keys;
};

const listen = (path: string) =>
  new Promise<() => void>((resolve) => {
    const server = createServer().listen(path, () => resolve(() => server.close()));
  });

const obstacles: [string, (path: string) => unknown, RegExp][] = [
  ['an empty folder', (path) => mkdirSync(path), /is a folder, not a file/],
  ['a folder with a folder', (path) => void mkdirSync(join(path, 'x'), {recursive: true}), /is a folder, not a file/],
  ['a dangling link', (path) => symlinkSync('nowhere', path), /is a link to nowhere, which does not exist/],
  ['a link to itself', (path) => symlinkSync(path, path), /is a link that leads back to itself/],
  ['a link to a folder', (path) => symlinkSync('/', path), /is a link to \/, which is a folder/],
  ['a named pipe', (path) => execFileSync('mkfifo', [path]), /is a named pipe/],
  ['a link to a device', (path) => symlinkSync('/dev/null', path), /is a link to \/dev\/null, which is a device/],
  ['a socket', listen, /is a socket/],
];

test.each(
  obstacles.flatMap(([what, make, message]) => [manifest, pack].map((key) => [what, key, make, message] as const)),
)('%s in the place of %s is listed, and is damage with its path', async (_, key, make, message) => {
  mkdirSync(join(root, dirname(key)), {recursive: true});
  const remade = await make(join(root, key));
  expect(await keysIn('')).toEqual([key, 'bkp.json'].sort());
  expect(await store.stat(key)).toMatchObject({key, sizeBytes: 0});
  await expect(store.get(key)).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringMatching(message),
    next: expect.stringContaining(`mv '${join(root, key)}' `),
    context: {key},
  });
  if (typeof remade === 'function') remade();
});

test('a link to a file is read and listed as the object', async () => {
  await store.put(manifest, Buffer.from('content'));
  const away = `${root}-away`;
  renameSync(join(root, manifest), away);
  symlinkSync(away, join(root, manifest));
  expect(Buffer.from(await store.get(manifest)).toString()).toBe('content');
  expect(await keysIn('.backups/')).toEqual([manifest]);
  expect(await store.stat(manifest)).toMatchObject({sizeBytes: 7});
  rmSync(away);
});

test('a link to a folder on another disk is listed, as it is read; one that leads back is not', async () => {
  await store.put(pack, Buffer.from('pack'));
  const away = `${root}-away`;
  renameSync(join(root, 'packs'), away);
  symlinkSync(away, join(root, 'packs'));
  symlinkSync(root, join(away, 'ab', 'loop'));
  expect(await keysIn('packs/')).toEqual([pack, 'packs/ab/loop']);
  expect(Buffer.from(await store.get(pack)).toString()).toBe('pack');
  await expect(store.put(`packs/cd/cd${'1'.repeat(62)}`, Buffer.from('x'))).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('leads out of the store'),
  });
  rmSync(away, {recursive: true});
});

test('a file in the place of the folder of a backup is damage of the backup', async () => {
  mkdirSync(join(root, '.backups/collections/c'), {recursive: true});
  writeFileSync(join(root, folder), 'not a folder');
  expect(await keysIn('.backups/')).toEqual([manifest]);
  await expect(store.get(manifest)).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: `${manifest} is damaged: ${join(root, folder)} is a file, not a folder`,
  });
});

test.each(['.backups', 'packs', 'removals'])('a file in the place of %s is no empty folder', async (name) => {
  writeFileSync(join(root, name), '');
  await expect(keysIn(`${name}/`)).rejects.toMatchObject({code: 'STORE_REFUSED'});
});

test('a write says what is in its place; a link or a pipe is replaced', async () => {
  mkdirSync(join(root, manifest), {recursive: true});
  await expect(store.put(manifest, Buffer.from('new'))).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining(`${join(root, manifest)} is a folder`),
  });
  mkdirSync(join(root, dirname(pack)), {recursive: true});
  symlinkSync('nowhere', join(root, pack));
  await store.put(pack, Buffer.from('new'));
  expect(Buffer.from(await store.get(pack)).toString()).toBe('new');
});

test('a removal takes an empty folder with it, and names one that has files', async () => {
  for (const key of [manifest, pack]) mkdirSync(join(root, key), {recursive: true});
  await store.delete([manifest]);
  expect(existsSync(join(root, '.backups'))).toBe(false);
  writeFileSync(join(root, pack, 'file'), 'somebody needs it');
  await expect(store.delete([pack])).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining(`${join(root, pack)} is a folder`),
  });
  expect(existsSync(join(root, pack, 'file'))).toBe(true);
});

test('an object whose facts the disk does not return is damaged, and is listed', async () => {
  await store.put(pack, Buffer.from('pack'));
  await store.put(manifest, Buffer.from('manifest'));
  lost.paths.add(join(root, manifest));
  expect(await keysIn('')).toEqual([manifest, 'bkp.json', pack]);
});

test('a backup whose folder cannot be listed is known; any other folder is an error', async () => {
  await store.put(manifest, Buffer.from('manifest'));
  lost.paths.add(join(root, folder));
  expect(await keysIn('.backups/')).toEqual([manifest]);
  lost.paths.add(join(root, '.backups/collections/c'));
  await expect(keysIn('.backups/')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});

test('a disk that returns the facts of nothing is away', async () => {
  await store.put(manifest, Buffer.from('manifest'));
  rmSync(join(root, 'bkp.json'));
  lost.paths.add(join(root, manifest));
  await expect(keysIn('.backups/')).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
});
