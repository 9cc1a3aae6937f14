import {copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {openDirectoryStore, type Store} from '../../../src/stores/index.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import fc from '../../seeds/fast-check.ts';
import {backup, changed, findings, keysOf, manifestKey, newStore, noise, open, readAll} from '../helpers.ts';

let folder: string;
let cacheFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-cache-'));
  cacheFile = join(folder, 'cache', 'index.db');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(4000, seed)}));

/** The number of index objects that a first read fetches. */
async function fetches(store: Store): Promise<number> {
  const counting = faultyStore(store, {at: 0, fault: 'fail'});
  const vault = await open(counting, {cacheFile});
  await readAll(vault, {sizeBytes: 0, depth: 0, chunks: []});
  vault.close();
  return counting.calls.filter((call) => call.startsWith('get index/')).length;
}

test('only new indexes are fetched', async () => {
  const store = newStore();
  await backup(await open(store), 'one', pieces(1));
  expect(await fetches(store)).toBe(1);
  expect(await fetches(store)).toBe(0);
  await backup(await open(store), 'two', pieces(2));
  expect(await fetches(store)).toBe(1);
  rmSync(cacheFile);
  expect(await fetches(store)).toBe(2);
});

test('processes that share a cache file know what the other one wrote', async () => {
  const store = newStore();
  const first = await open(store, {cacheFile});
  const second = await open(store, {cacheFile});
  await backup(first, 'one', pieces(1, 2));
  const writer = await second.writer({purpose: 'test'});
  await writer.write(pieces(1, 2));
  expect(writer.stats.newChunks).toBe(0);
  await writer.close();
});

test.each(['garbage', 'half a database', 'empty', 'another version', 'another vault', 'flipped bytes'])(
  'reads, backups and verifications work with a cache file that is %s',
  async (what) => {
    const store = newStore();
    const one = await open(store, {cacheFile});
    const recipe = await backup(one, 'one', pieces(1, 2, 3));
    one.close();
    switch (what) {
      case 'garbage':
        writeFileSync(cacheFile, noise(20_000, 1));
        break;
      case 'half a database':
        writeFileSync(cacheFile, readFileSync(cacheFile).subarray(0, 5000));
        break;
      case 'empty':
        writeFileSync(cacheFile, '');
        break;
      case 'another version': {
        const db = new DatabaseSync(cacheFile);
        db.exec('PRAGMA user_version = 99');
        db.close();
        break;
      }
      case 'another vault':
        await open(newStore(), {cacheFile: join(folder, 'other.db')});
        copyFileSync(join(folder, 'other.db'), cacheFile);
        break;
      case 'flipped bytes': {
        const bytes = readFileSync(cacheFile);
        for (let at = 9000; at < bytes.length; at += 17) bytes[at]! ^= 0x11;
        writeFileSync(cacheFile, bytes);
        break;
      }
    }
    const vault = await open(store, {cacheFile});
    expect((await readAll(vault, recipe)).equals(Buffer.concat(pieces(1, 2, 3).map(({bytes}) => bytes)))).toBe(true);
    expect(await findings(vault)).toEqual([]);
    await backup(vault, 'two', pieces(3, 4));
    expect(await findings(vault)).toEqual([]);
    vault.close();
  },
);

test('wrong bytes in the cache file never cause a wrong read, backup or verification', async () => {
  const store = newStore();
  const one = await open(store, {cacheFile});
  const recipe = await backup(one, 'one', pieces(1, 2, 3));
  one.close();
  const whole = readFileSync(cacheFile);
  const expected = Buffer.concat(pieces(1, 2, 3).map(({bytes}) => bytes));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({min: 1, max: 255})), {minLength: 1, maxLength: 200}),
      async (faults) => {
        const bytes = Buffer.from(whole);
        for (const [at, mask] of faults) bytes[at]! ^= mask;
        for (const suffix of ['-wal', '-shm']) rmSync(cacheFile + suffix, {force: true});
        writeFileSync(cacheFile, bytes);
        const vault = await open(store, {cacheFile});
        expect((await readAll(vault, recipe)).equals(expected)).toBe(true);
        const writer = await vault.writer({purpose: 'test'});
        const again = await writer.write(pieces(1, 2, 3));
        await writer.flush();
        await writer.close();
        expect(again).toEqual(recipe);
        expect(await findings(vault)).toEqual([]);
        vault.close();
      },
    ),
    {numRuns: 60},
  );
});

test('a vault works without a cache file that cannot be created', async () => {
  const store = newStore();
  writeFileSync(join(folder, 'file'), '');
  const vault = await open(store, {cacheFile: join(folder, 'file', 'index.db')});
  await backup(vault, 'one', pieces(1));
  expect(await findings(vault)).toEqual([]);
});

test('wrong locations in the cache are detected and corrected', async () => {
  const store = newStore();
  const vault = await open(store, {cacheFile});
  const recipe = await backup(vault, 'one', pieces(1, 2, 3));
  vault.close();
  const db = new DatabaseSync(cacheFile);
  db.exec('UPDATE chunks SET offset = offset + 1');
  db.close();
  const second = await open(store, {cacheFile});
  expect((await readAll(second, recipe)).length).toBe(12_000);
  second.close();
  // The next process finds a correct cache.
  const third = await open(store, {cacheFile});
  expect(await findings(third)).toEqual([]);
});

test('a cache from before a cleanup is brought up to date', async () => {
  const store = newStore();
  const old = await open(store, {cacheFile});
  await backup(old, 'one', pieces(1, 2, 3));
  const two = await backup(old, 'two', pieces(3, 4));
  old.close();
  const elsewhere = await open(store);
  const collector = await elsewhere.collector({purpose: 'cleanup'});
  await collector.remove([manifestKey('one')]);
  await collector.execute(await collector.plan());
  await collector.close();
  const vault = await open(store, {cacheFile});
  expect(await readAll(vault, two)).toHaveLength(8000);
  await backup(vault, 'three', pieces(1, 2, 3, 4));
  expect(await findings(vault)).toEqual([]);
});

test('two machines use one directory store concurrently', async () => {
  const root = join(folder, 'store');
  const machines = await Promise.all(
    ['a', 'b'].map(async (name) =>
      open(await openDirectoryStore({root, create: true}), {cacheFile: join(folder, name, 'index.db')}),
    ),
  );
  expect(machines[0]!.id).toBe(machines[1]!.id);
  await Promise.all(machines.map((vault, n) => backup(vault, `${n}`, [...pieces(1, 2), ...pieces(10 + n)])));
  const likes = (await machines[0]!.manifest(manifestKey('0'))).streams[0]!.chunks;
  await backup(
    machines[1]!,
    'like',
    pieces(1, 2).map(({bytes}, n) => ({bytes: changed(bytes, 9), like: likes[n]!})),
  );
  for (const vault of machines) expect(await findings(vault)).toEqual([]);
  const store = await openDirectoryStore({root, create: false});
  expect((await keysOf(store)).filter((key) => key.endsWith('/manifest'))).toHaveLength(3);
  expect(readdirSync(root).sort()).toEqual(['.backups', 'bkp.json', 'index', 'packs', 'verified']);
  for (const vault of machines) vault.close();
  expect(existsSync(join(folder, 'a', 'index.db'))).toBe(true);
});
