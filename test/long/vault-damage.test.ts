import {describe, expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import {hash} from '../../src/vault/format/hash.ts';
import type {Finding, Recipe, Vault} from '../../src/vault/index.ts';
import {
  backup,
  changed,
  countedIds,
  findings,
  keysOf,
  manifestKey,
  newStore,
  noise,
  open,
  readAll,
} from '../vault/helpers.ts';

type Made = {store: Store; vault: Vault; recipe: Recipe; expected: Buffer; keys: string[]};

/** A vault with all kinds of chunks (differences and filtered numbers too), a long recipe, and all kinds of objects. */
async function make(): Promise<Made> {
  const store = newStore();
  // Makes the same keys in each run.
  const vault = await open(store, {randomId: countedIds()});
  const first = Array.from({length: 6}, (_, seed) => noise(20_000, seed));
  const one = await backup(
    vault,
    'one',
    first.map((bytes) => ({bytes})),
  );
  const second = first.map((bytes, n) => changed(bytes, n * 7));
  const pieces = [
    ...second.map((bytes, n) => ({bytes, like: one.chunks[n]!})),
    {bytes: Buffer.from(Int32Array.from({length: 3000}, (_, n) => n * 77).buffer), column: {widthBytes: 4}},
    ...Array.from({length: 200}, (_, n) => ({bytes: Buffer.from(`row ${n % 5}`)})),
  ];
  const recipe = await backup(vault, 'two', pieces);
  const expected = Buffer.concat(pieces.map(({bytes}) => bytes));
  return {store, vault, recipe, expected, keys: await keysOf(store)};
}

const flip = async (store: Store, key: string, at: number, bit = 1) => {
  const bytes = Buffer.from(await store.get(key));
  bytes[at % bytes.length]! ^= bit;
  await store.put(key, bytes);
};

/** What a new process finds by opening, verifying and reading the damaged store. */
async function notice(store: Store, {recipe, expected}: Made) {
  const found: (Finding | Error)[] = [];
  let restored: Buffer | Error;
  try {
    const vault = await open(store, {create: false});
    try {
      found.push(...(await findings(vault)));
    } catch (error) {
      found.push(error as Error);
    }
    // Whatever is reported, a read never returns wrong bytes.
    restored = await readAll(vault, recipe).catch((error: Error) => error);
    if (Buffer.isBuffer(restored)) expect(restored.equals(expected)).toBe(true);
    vault.close();
  } catch (error) {
    found.push(error as Error);
    restored = error as Error;
  }
  return {found, restored};
}

const names = (found: readonly (Finding | Error)[], key: string) =>
  found.some((fault) => JSON.stringify(fault).includes(key) || String((fault as Error).message ?? '').includes(key));

describe('a flipped bit anywhere in an object', async () => {
  const {keys} = await make();
  test.each(keys)('in %s is found and named', async (key) => {
    const made = await make();
    const {length} = await made.store.get(key);
    // The first and the last bytes, and some between them.
    const positions = [
      0,
      1,
      4,
      5,
      6,
      7,
      8,
      15,
      16,
      17,
      20,
      ...Array.from({length: 14}, (_, n) => Math.floor((length * (n + 1)) / 15)),
      length - 45,
      length - 33,
      length - 32,
      length - 12,
      length - 9,
      length - 8,
      length - 1,
    ];
    for (const at of positions) {
      const bit = 1 << (at % 8);
      await flip(made.store, key, at, bit);
      const {found, restored} = await notice(made.store, made);
      expect(found, `byte ${at} of ${length}`).not.toEqual([]);
      expect(names(found, key), `byte ${at} of ${length}: ${JSON.stringify(found)}`).toBe(true);
      if (restored instanceof Error)
        expect(restored).toMatchObject({code: expect.stringMatching(/^OBJECT_(DAMAGED|MISSING)$/)});
      await flip(made.store, key, at, bit);
    }
    expect((await notice(made.store, made)).found).toEqual([]);
  });

  test.each(keys)('the loss of %s, or of its last bytes, is found and named', async (key) => {
    const made = await make();
    const whole = await made.store.get(key);
    for (const lengthBytes of [0, 1, 11, whole.length - 1]) {
      await made.store.put(key, whole.subarray(0, lengthBytes));
      const {found} = await notice(made.store, made);
      expect(names(found, key), `${lengthBytes} bytes left: ${JSON.stringify(found)}`).toBe(true);
    }
    await made.store.delete([key]);
    const {found, restored} = await notice(made.store, made);
    if (key.endsWith('/manifest')) return; // Without its manifest the backup does not exist.
    expect(found).not.toEqual([]);
    // The own table of a pack replaces its index, so the loss of an index loses no data.
    if (key.startsWith('index/')) expect(Buffer.isBuffer(restored)).toBe(true);
    else expect(restored).toBeInstanceOf(Error);
    if (key.startsWith('packs/')) expect(names(found, key)).toBe(true);
  });
});

test('a vault that was opened before the damage finds it too', async () => {
  const store = newStore();
  const vault = await open(store);
  const recipe = await backup(vault, 'one', [{bytes: noise(20_000, 1)}]);
  const [pack] = await keysOf(store, 'packs/');
  expect(await findings(vault)).toEqual([]);
  await flip(store, pack!, 5000);
  expect(names(await findings(vault), pack!)).toBe(true);
  const context = {key: pack, pack: pack!.slice('packs/00/'.length), chunk: recipe.chunks[0]};
  await expect(readAll(vault, recipe)).rejects.toMatchObject({code: 'OBJECT_DAMAGED', context});
});

test('level structure reads no data and reports missing packs', async () => {
  const made = await make();
  const [pack] = await keysOf(made.store, 'packs/');
  await flip(made.store, pack!, 100);
  expect(await findings(made.vault, 'structure')).toEqual([]);
  await made.store.delete([pack!]);
  expect(names(await findings(made.vault, 'structure'), pack!)).toBe(true);
});

test('progress rises to the total', async () => {
  const {vault, recipe} = await make();
  const steps: [number, number][] = [];
  await vault.verify([recipe], {level: 'data', progress: (done, total) => steps.push([done, total])});
  const total = await vault.storedBytes([recipe]);
  expect(steps.at(-1)).toEqual([total, total]);
  expect(steps.map(([done]) => done)).toEqual(steps.map(([done]) => done).sort((a, b) => a - b));
});

test('the next backup repairs a lost pack, a lost index and a damaged index', async () => {
  const first = Array.from({length: 4}, (_, seed) => ({bytes: noise(9000, seed)}));
  for (const prefix of ['packs/', 'index/']) {
    for (const how of ['removed', 'cut off', 'flipped']) {
      if (prefix === 'packs/' && how === 'flipped') continue; // Only VERIFY reads every byte.
      const store = newStore();
      const recipe = await backup(await open(store), 'one', first);
      const [key] = await keysOf(store, prefix);
      if (how === 'removed') await store.delete([key!]);
      else if (how === 'cut off') await store.put(key!, (await store.get(key!)).subarray(0, 50));
      else await flip(store, key!, 30);
      const vault = await open(store);
      expect(await findings(vault), `${prefix} ${how}`).not.toEqual([]);
      await backup(vault, 'two', first);
      expect(await findings(vault), `${prefix} ${how}`).toEqual([]);
      expect(await readAll(vault, recipe)).toHaveLength(36_000);
    }
  }
});

test('a difference whose base was lost is written again', async () => {
  const store = newStore();
  const vault = await open(store);
  const base = noise(50_000, 1);
  const one = await backup(vault, 'one', [{bytes: base}]);
  const [pack] = await keysOf(store, 'packs/');
  const next = changed(base, 5);
  await backup(vault, 'two', [{bytes: next, like: one.chunks[0]!}]);
  await store.delete([pack!]);
  const three = await backup(vault, 'three', [{bytes: next, like: one.chunks[0]!}]);
  expect((await readAll(vault, three)).equals(next)).toBe(true);
  await backup(vault, 'four', [{bytes: base, like: three.chunks[0]!}]);
  expect(await findings(vault)).toEqual([]);
  expect((await readAll(vault, one)).equals(base)).toBe(true);
});

test('a store whose bkp.json is missing, foreign or damaged is not opened', async () => {
  const empty = newStore();
  await expect(open(empty, {create: false})).rejects.toMatchObject({
    code: 'VAULT_ABSENT',
    message: expect.stringContaining('no vault'),
  });
  await empty.put('photos/cat.jpg', Buffer.from('x'));
  await expect(open(empty)).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.stringContaining('photos/cat.jpg'),
  });
  expect(await keysOf(empty)).toEqual(['photos/cat.jpg']);

  const store = newStore();
  await open(store);
  const text = Buffer.from(await store.get('bkp.json')).toString();
  await store.put('bkp.json', Buffer.from(text.replace('"version": 1', '"version": 2')));
  await expect(open(store)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  await store.put('bkp.json', Buffer.from('{"format": "another program"}'));
  await expect(open(store)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
});

test('what a newer bkp wrote is refused, and not reported as damaged', async () => {
  const store = newStore();
  const vault = await open(store);
  await backup(vault, 'one', [{bytes: Buffer.from('x')}]);
  const key = manifestKey('one');
  const sealed = Buffer.from(await store.get(key));
  for (const [at, value] of [
    [4, 2],
    [6, 16],
  ] as const) {
    const newer = Buffer.from(sealed.subarray(0, -32));
    newer[at] = value;
    await store.put(key, Buffer.concat([newer, hash(newer)]));
    await expect(vault.manifest(key)).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      next: expect.stringContaining('newest bkp'),
    });
  }
  const header = {...JSON.parse(Buffer.from(await store.get('bkp.json')).toString()), checksum: undefined};
  for (const change of [{version: 2}, {encryption: 'aes-256-gcm'}]) {
    const json = JSON.stringify({...header, ...change});
    await store.put(
      'bkp.json',
      Buffer.from(JSON.stringify({...JSON.parse(json), checksum: hash(Buffer.from(json)).toString('hex')})),
    );
    await expect(open(store)).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      next: expect.stringContaining('newest bkp'),
    });
  }
});

test('creators that race create one vault', async () => {
  const store = newStore();
  const vaults = await Promise.all(Array.from({length: 8}, () => open(store)));
  expect(new Set(vaults.map(({id}) => id)).size).toBe(1);
  expect(vaults[0]!.id).toMatch(/^[0-9a-f]{32}$/);
});

test('a commit requires the key of a manifest', async () => {
  const vault = await open(newStore());
  const writer = await vault.writer({purpose: 'test'});
  for (const key of ['manifest', 'packs/manifest', '.backups/x', manifestKey('../../x')]) {
    await expect(writer.commit(key, {kind: 'x', streams: [], body: null})).rejects.toThrow('invariant broken');
  }
  await writer.close();
});

test('a pack that a verification found damaged is written again, and no increment relies on it', async () => {
  const store = newStore();
  const first = Array.from({length: 4}, (_, seed) => ({bytes: noise(9000, seed)}));
  const whole = Buffer.concat(first.map(({bytes}) => bytes));
  const one = await backup(await open(store), 'one', first);
  const [pack] = await keysOf(store, 'packs/');
  await flip(store, pack!, 30);
  expect(await findings(await open(store))).not.toEqual([]);
  expect(await keysOf(store, 'damaged/')).toHaveLength(1);

  const writer = await (await open(store)).writer({purpose: 'test'});
  const committing = writer.commit(manifestKey('two'), {kind: 'test', streams: [one], body: null});
  await expect(committing).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    next: expect.stringContaining('full backup'),
  });
  await writer.close();

  // Some of its chunks again, and a difference to another one: neither relies on the damaged pack.
  const like = one.chunks[1]!;
  const some = await backup(await open(store), 'three', [first[0]!, {bytes: changed(first[1]!.bytes, 7), like}]);
  expect(await readAll(await open(store), some)).toHaveLength(18_000);
  // All of its chunks again: then no backup needs the damaged pack.
  const four = await backup(await open(store), 'four', first);
  expect((await readAll(await open(store), four)).equals(whole)).toBe(true);
  expect((await readAll(await open(store), one)).equals(whole)).toBe(true);
  expect(await findings(await open(store))).toEqual([]);
});

test('a damaged pack that was restored from a copy is trusted again after a verification', async () => {
  const store = newStore();
  const one = await backup(await open(store), 'one', [{bytes: noise(9000, 1)}]);
  const [pack] = await keysOf(store, 'packs/');
  await flip(store, pack!, 30);
  await findings(await open(store));
  await flip(store, pack!, 30);
  expect(await findings(await open(store))).toEqual([]);
  expect(await keysOf(store, 'damaged/')).toEqual([]);
  const writer = await (await open(store)).writer({purpose: 'test'});
  expect(await writer.commit(manifestKey('two'), {kind: 'test', streams: [one], body: null})).toBe('written');
  await writer.close();
});

test('the damage note of a pack is removed together with the pack', async () => {
  const store = newStore();
  const vault = await open(store);
  await backup(vault, 'one', [{bytes: noise(9000, 1)}]);
  const [pack] = await keysOf(store, 'packs/');
  await flip(store, pack!, 30);
  await findings(vault);
  expect(await keysOf(store, 'damaged/')).toHaveLength(1);
  const collector = await vault.collector({purpose: 'test'});
  await collector.remove([manifestKey('one')]);
  await collector.execute(await collector.plan());
  await collector.close();
  expect(await keysOf(store, 'packs/')).toEqual([]);
  expect(await keysOf(store, 'damaged/')).toEqual([]);
});
