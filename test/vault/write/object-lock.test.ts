import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import type {Vault} from '../../../src/vault/index.ts';
import {
  backup,
  changed,
  fakeClock,
  findings,
  keysOf,
  lockingStore,
  manifestKey,
  manifestOf,
  manifestsOf,
  newStore,
  noise,
  open,
  readAll,
} from '../helpers.ts';

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;

let folder: string;
let cacheFile: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-object-lock-'));
  cacheFile = join(folder, 'index.db');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));

/** A store that locks objects for 30 days, with the same clock as bkp. */
function make() {
  const clock = {nowMs: 1_795_000_000_000};
  const inner = newStore();
  const store = lockingStore(inner, clock, 30);
  return {clock, inner, store, options: {cacheFile, graceMs: 0, clock: {...fakeClock(), wallMs: () => clock.nowMs}}};
}

async function collect(vault: Vault, ...names: string[]) {
  const collector = await vault.collector({purpose: 'cleanup'});
  try {
    const staying = await collector.remove(names.map(manifestKey));
    return {staying, ...(await collector.execute(await collector.plan()))};
  } finally {
    await collector.close();
  }
}

test('all objects of a backup are locked, and no others', async () => {
  const {store, options} = make();
  const vault = await open(store, options);
  const writer = await vault.writer({purpose: 'definition'});
  await writer.putDocument('.backups/collections/shop/definition/00000001', {});
  await writer.close();
  await backup(vault, 'one', pieces(1));
  expect([...store.until.keys()].sort()).toEqual(await keysOf(store));
  vault.close();
});

describe('what a new backup shares with older ones', () => {
  test('is locked as long as its new objects', async () => {
    const {store, options, clock} = make();
    const vault = await open(store, options);
    const one = await backup(vault, 'one', pieces(1));
    const [pack] = await keysOf(store, 'packs/');
    const [index] = await keysOf(store, 'index/');
    clock.nowMs += 20 * dayMs;
    await backup(vault, 'unrelated', pieces(7));
    expect(store.until.get(pack!)).toBe(clock.nowMs + 10 * dayMs);
    await backup(vault, 'two', [{bytes: changed(noise(10_000, 1), 5), like: one.chunks[0]!}, ...pieces(1)]);
    for (const key of [pack!, index!, 'bkp.json']) expect(store.until.get(key), key).toBe(clock.nowMs + 30 * dayMs);
    vault.close();
  });

  test('is not extended again within twelve hours', async () => {
    const {store, options, clock} = make();
    const vault = await open(store, options);
    await backup(vault, 'one', pieces(1));
    // The other objects were just written; the header was written before the cache recorded puts.
    expect(store.asked).toEqual(['bkp.json']);
    store.asked.length = 0;
    clock.nowMs += dayMs;
    await backup(vault, 'two', pieces(1));
    expect(store.asked).toHaveLength(3);
    clock.nowMs += 11 * hourMs;
    await backup(vault, 'three', pieces(1));
    expect(store.asked).toHaveLength(3);
    vault.close();
    // Without the cache file, or after the clock was set back, all locks are extended.
    rmSync(cacheFile);
    const again = await open(store, options);
    await backup(again, 'four', pieces(1));
    expect(store.asked).toHaveLength(6);
    clock.nowMs -= 3 * dayMs;
    await backup(again, 'five', pieces(1));
    expect(store.asked).toHaveLength(9);
    again.close();
  });

  test('is extended if an interrupted backup left it', async () => {
    const {store, options, clock} = make();
    const vault = await open(store, options);
    const writer = await vault.writer({purpose: 'ended'});
    await writer.write(pieces(1));
    await writer.flush();
    await writer.close();
    vault.close();
    rmSync(cacheFile);
    clock.nowMs += 20 * dayMs;
    const next = await open(store, options);
    await backup(next, 'one', pieces(1));
    for (const until of store.until.values()) expect(until).toBe(clock.nowMs + 30 * dayMs);
    next.close();
  });

  test('prevents the commit if its lock cannot be extended', async () => {
    const {store, options, clock} = make();
    const vault = await open(store, options);
    await backup(vault, 'one', pieces(1));
    clock.nowMs += dayMs;
    store.retain = async () => {
      throw new BkpError('STORE_DENIED', 'no right to extend');
    };
    const again = await open(store, options);
    await expect(backup(again, 'two', pieces(1))).rejects.toMatchObject({code: 'STORE_DENIED'});
    expect(await manifestsOf(store)).toEqual([manifestKey('one')]);
    vault.close();
    again.close();
  });
});

describe('a collector', () => {
  test('keeps a locked backup intact, reports it, and removes it once the lock has ended', async () => {
    const {store, options, clock} = make();
    const vault = await open(store, options);
    const one = await backup(vault, 'one', pieces(1, 2));
    const untilMs = clock.nowMs + 30 * dayMs;
    clock.nowMs += dayMs;
    const first = await collect(vault, 'one');
    expect(first.staying).toEqual([{key: manifestKey('one'), untilMs}]);
    expect(first).toMatchObject({freedBytes: 0, retained: {objects: 1, untilMs}});
    expect(await readAll(vault, one)).toHaveLength(20_000);
    expect(await findings(vault)).toEqual([]);
    clock.nowMs = untilMs;
    const second = await collect(vault, 'one');
    expect(second.freedBytes).toBeGreaterThan(20_000);
    expect(second).not.toHaveProperty('retained');
    expect(await keysOf(store)).toEqual(['bkp.json']);
    vault.close();
  });

  test('keeps packs that are locked for longer than their manifest, and lists them in an index', async () => {
    const {inner, store, options, clock} = make();
    const vault = await open(store, options);
    await backup(vault, 'one', pieces(1, 2));
    store.until.delete(manifestKey('one'));
    const [index] = await keysOf(store, 'index/');
    store.until.delete(index!);
    const report = await collect(vault, 'one');
    expect(report).toMatchObject({freedBytes: 0, retained: {objects: 1}});
    expect(await keysOf(inner, 'packs/')).toHaveLength(1);
    expect(await keysOf(inner, 'index/')).toHaveLength(1);
    // A backup relies on nothing that is removed as soon as its lock ends.
    const writer = await vault.writer({purpose: 'next'});
    const recipe = await writer.write(pieces(1, 2, 3));
    expect(writer.stats.newChunks).toBe(3);
    await writer.commit(manifestKey('two'), manifestOf(recipe));
    await writer.close();
    expect(await findings(vault)).toEqual([]);
    clock.nowMs += 31 * dayMs;
    await collect(vault, 'two');
    expect(await keysOf(inner)).toEqual(['bkp.json']);
    vault.close();
  });

  test('copies nothing from sparse packs, because they would stay beside the copy', async () => {
    const {store, options} = make();
    const vault = await open(store, options);
    await backup(vault, 'one', pieces(1, 2, 3, 4));
    await backup(vault, 'two', pieces(4));
    store.until.clear();
    const packs = await keysOf(store, 'packs/');
    expect(await collect(vault, 'one')).toMatchObject({freedBytes: 0});
    expect(await keysOf(store, 'packs/')).toEqual(packs);
    vault.close();
  });
});

describe('without the permission to remove', () => {
  const denying = (store: Store): Store => ({
    ...store,
    delete: async () => {
      throw new BkpError('STORE_DENIED', 'no right to remove');
    },
  });

  test('a backup that replaces a damaged pack succeeds, and the damage note stays', async () => {
    const store = newStore();
    const vault = await open(store);
    const recipe = await backup(vault, 'one', pieces(1));
    const [pack] = await keysOf(store, 'packs/');
    await store.put(pack!, changed(await store.get(pack!), 100));
    expect(await findings(vault)).not.toEqual([]);
    const appending = await open(denying(store));
    await backup(appending, 'two', pieces(1));
    expect(await readAll(appending, recipe)).toHaveLength(10_000);
    expect(await findings(appending)).toEqual([]);
    expect(await keysOf(store, 'damaged/')).toHaveLength(1);
    // The damaged pack is not needed any more. A collector with the permission removes it and its note.
    expect(await findings(vault)).toEqual([]);
    const cleaning = await open(store, {graceMs: 0});
    const collector = await cleaning.collector({purpose: 'cleanup'});
    await collector.execute(await collector.plan());
    await collector.close();
    expect(await keysOf(store, 'damaged/')).toEqual([]);
  });

  test('a manifest whose lease was lost while it was written does not count, though it cannot be removed', async () => {
    const store = newStore();
    const slow: Store = {
      ...denying(store),
      put: async (key, body, options) => {
        const outcome = await store.put(key, body, options);
        if (key.endsWith('/manifest')) await store.delete(await keysOf(store, 'locks/'));
        return outcome;
      },
    };
    const vault = await open(slow);
    await expect(backup(vault, 'one', pieces(1))).rejects.toMatchObject({
      code: 'VAULT_LOCKED',
      message: expect.stringContaining('lost'),
    });
    expect(await manifestsOf(store)).toEqual([manifestKey('one')]);
    for await (const key of vault.keys('.backups/')) expect(key).toBe('not shown');
  });
});
