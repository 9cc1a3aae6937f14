import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import {LeaseRow, thisHost, type VaultOptions} from '../../../src/vault/index.ts';
import {acquireLease} from '../../../src/vault/lease/acquire.ts';
import {listLeases} from '../../../src/vault/lease/objects.ts';
import {
  backup,
  changed,
  type FakeClock,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  manifestsOf,
  newStore,
  noise,
  open,
} from '../helpers.ts';

const ttlMs = 120_000;

/** A vault as one process on one machine sees it, with its own clock. */
async function processOn(store: Store, pid: number, options: Partial<VaultOptions> = {}) {
  const clock = fakeClock();
  const host = fakeHost(pid);
  const vault = await open(store, {clock, host, ...options});
  return {clock, host, vault};
}

/** Ids of the leases that have objects in the store. */
const leasesIn = async (store: Store) => [...new Set((await keysOf(store, 'locks/')).map((key) => key.split('/')[1]!))];

/** The store with credentials that may put objects, but neither remove nor overwrite them. */
const appendOnly = (store: Store): Store => ({
  ...store,
  put: async (key, body, options) => {
    // A bucket policy that forbids overwriting rejects every put without the condition.
    if (!options?.ifAbsent) throw new BkpError('STORE_DENIED', `put ${key} unconditionally`);
    return store.put(key, body, options);
  },
  delete: async () => {
    throw new BkpError('STORE_DENIED', 'not allowed to remove');
  },
});

const locked = (text: string) => ({code: 'VAULT_LOCKED', message: expect.stringContaining(text)});

test('many writers work concurrently, but at most one for each subject', async () => {
  const store = newStore();
  const one = await processOn(store, 1);
  const two = await processOn(store, 2);
  const shop = await one.vault.writer({purpose: 'operation fullbackup/1', subject: 'collection shop'});
  const other = await two.vault.writer({purpose: 'operation fullbackup/2', subject: 'collection other'});
  const anonymous = await two.vault.writer({purpose: 'definition'});
  const before = two.clock.monotonicMs();
  await expect(two.vault.writer({purpose: 'operation incbackup/3', subject: 'collection shop'})).rejects.toMatchObject(
    locked('operation fullbackup/1 (process 1 on host-1, since 2026-'),
  );
  // Without waiting, because the other process is known to run.
  expect(two.clock.monotonicMs() - before).toBeLessThan(1000);
  await shop.close();
  await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
  await other.close();
  await anonymous.close();
  expect(await keysOf(store, 'locks/')).toEqual([]);
});

test('a collector waits for writers for a limited time, then names the one that blocks it', async () => {
  const store = newStore();
  const one = await processOn(store, 1);
  const two = await processOn(store, 2, {lockWaitMs: 5000});
  const writer = await one.vault.writer({purpose: 'operation fullbackup/1'});
  await expect(two.vault.collector({purpose: 'cleanup'})).rejects.toMatchObject(locked('operation fullbackup/1'));
  expect(two.clock.monotonicMs()).toBeGreaterThanOrEqual(5000);
  expect(two.clock.monotonicMs()).toBeLessThan(10_000);
  expect(await leasesIn(store)).toHaveLength(1);
  await writer.close();
  await (await two.vault.collector({purpose: 'cleanup'})).close();
});

test('a writer waits until a collector has ended', async () => {
  const store = newStore();
  const one = await processOn(store, 1);
  const two = await processOn(store, 2, {clock: one.clock});
  const collector = await one.vault.collector({purpose: 'operation cleanup/1'});
  let isWriting = false;
  const waiting = two.vault.writer({purpose: 'backup'}).then((writer) => {
    isWriting = true;
    return writer;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(isWriting).toBe(false);
  await collector.close();
  await (await waiting).close();
  const again = await one.vault.collector({purpose: 'operation cleanup/2'});
  await expect(two.vault.writer({purpose: 'backup'})).rejects.toMatchObject(locked('operation cleanup/2'));
  await expect(two.vault.collector({purpose: 'another'})).rejects.toMatchObject(locked('operation cleanup/2'));
  await again.close();
});

test('waiting can be cancelled, and leaves no lease behind', async () => {
  const store = newStore();
  const one = await processOn(store, 1);
  const two = await processOn(store, 2, {clock: {...fakeClock(), monotonicMs: () => 0}});
  const writer = await one.vault.writer({purpose: 'backup'});
  const stop = new AbortController();
  const waiting = two.vault.collector({purpose: 'cleanup'}, {signal: stop.signal});
  setTimeout(() => stop.abort(), 20);
  await expect(waiting).rejects.toMatchObject({name: 'AbortError'});
  await writer.close();
  expect(await keysOf(store, 'locks/')).toEqual([]);
});

test('in any race a collector is alone, and a subject has at most one writer', async () => {
  const store = newStore();
  let collectors = 0;
  let writers = 0;
  const shops = new Set<number>();
  let held = 0;
  const actors = Array.from({length: 9}, async (_, n) => {
    const {vault} = await processOn(store, n + 1, {lockWaitMs: 20_000});
    for (let round = 0; round < 4; round++) {
      try {
        if (n % 3 === 0) {
          const collector = await vault.collector({purpose: `cleanup ${n}`});
          collectors += 1;
          expect([collectors, writers]).toEqual([1, 0]);
          await new Promise((resolve) => setTimeout(resolve, 2));
          expect([collectors, writers]).toEqual([1, 0]);
          collectors -= 1;
          held += 1;
          await collector.close();
        } else {
          const writer = await vault.writer({
            purpose: `backup ${n}`,
            ...(n % 3 === 1 ? {subject: 'collection shop'} : {}),
          });
          writers += 1;
          if (n % 3 === 1) expect(shops.size).toBe(0);
          if (n % 3 === 1) shops.add(n);
          expect(collectors).toBe(0);
          await new Promise((resolve) => setTimeout(resolve, 2));
          expect(collectors).toBe(0);
          writers -= 1;
          shops.delete(n);
          held += 1;
          await writer.close();
        }
      } catch (error) {
        if (!(error instanceof BkpError && error.code === 'VAULT_LOCKED')) throw error;
      }
    }
  });
  await Promise.all(actors);
  expect(held).toBeGreaterThan(3);
  expect(await keysOf(store, 'locks/')).toEqual([]);
});

describe('the lease of an ended process', () => {
  test('of this machine ends immediately', async () => {
    const store = newStore();
    const one = await processOn(store, 1);
    await one.vault.writer({purpose: 'killed', subject: 'collection shop'});
    const two = await processOn(store, 2);
    two.host.dead.add(1);
    await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
    expect(two.clock.monotonicMs()).toBeLessThan(1000);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test.each([
    ['of another machine', 'boot-2/pids-1'],
    ['of a machine without a process space', null],
  ])('%s ends after a TTL without a change', async (_, space) => {
    const store = newStore();
    const far = await open(store, {clock: fakeClock(), host: fakeHost(1, space)});
    await far.writer({purpose: 'power cut', subject: 'collection shop'});
    const two = await processOn(store, 2);
    await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
    expect(two.clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    expect(two.clock.monotonicMs()).toBeLessThan(2 * ttlMs);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('makes what was listed before it ended out of date', async () => {
    const store = newStore();
    const deps = (pid: number, dead: number[] = []) => {
      const host = fakeHost(pid);
      for (const other of dead) host.dead.add(other);
      return {store, clock: fakeClock(), host, randomId: () => String(pid).padStart(32, '0')};
    };
    const listing = async () => ({leases: await listLeases(store)});
    const options = {mode: 'writer', subject: {purpose: 'test'}, waitMs: 0} as const;
    const first = await acquireLease(deps(1), options, listing);
    expect(first.found).toBeDefined();
    expect((await acquireLease(deps(2), options, listing)).found).toBeDefined();
    // The holder may have written until its lease was ended.
    expect((await acquireLease(deps(3, [1]), options, listing)).found).toBeUndefined();
  });

  test('stays while it is renewed, even if the wall clock of its machine is wrong', async () => {
    const store = newStore();
    const clock = fakeClock();
    // Both use the same monotonic clock; the wall clock of the remote one shows 1970.
    const far = await open(store, {clock: {...clock, wallMs: () => 0}, host: fakeHost(1, 'boot-2/pids-1')});
    const writer = await far.writer({purpose: 'long backup', subject: 'collection shop'});
    const here = await open(store, {clock, host: fakeHost(2)});
    await expect(here.writer({purpose: 'next', subject: 'collection shop'})).rejects.toMatchObject(
      locked('long backup'),
    );
    await expect(here.collector({purpose: 'cleanup'})).rejects.toMatchObject(locked('long backup'));
    await writer.commit(manifestKey('one'), manifestOf());
    await writer.close();
  });

  test('of a stopped process of this machine ends after a TTL without a change', async () => {
    const store = newStore();
    const {host, vault} = await processOn(store, 1, {clock: {...fakeClock(), every: () => () => {}}});
    const collector = await vault.collector({purpose: 'stopped'});
    const two = await processOn(store, 2);
    expect(host.isAlive(1, '1')).toBe(true);
    await (await two.vault.writer({purpose: 'next'})).close();
    expect(two.clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    await expect(collector.remove([manifestKey('one')])).rejects.toMatchObject(locked('lost'));
  });

  test('that cannot be parsed ends after a TTL without a change', async () => {
    const store = newStore();
    const {vault, clock} = await processOn(store, 1);
    await store.put('locks/strange', Buffer.from('{"half'));
    await store.put('locks/stranger/00000000', Buffer.from('{"half'));
    await (await vault.writer({purpose: 'next'})).close();
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });
});

describe('a holder that was taken for dead', () => {
  const setUp = async () => {
    const store = newStore();
    const one = await processOn(store, 1);
    const writer = await one.vault.writer({purpose: 'suspended', subject: 'collection shop'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    return {store, one, writer, recipe};
  };
  const lost = {code: 'VAULT_LOCKED', message: expect.stringContaining('lost')};

  test('commits nothing after its lease was removed', async () => {
    const {store, writer, recipe} = await setUp();
    const two = await processOn(store, 2);
    two.host.dead.add(1);
    const collector = await two.vault.collector({purpose: 'cleanup'});
    await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject(lost);
    await expect(writer.putDocument('.backups/collections/shop/collection.json', {})).rejects.toMatchObject(lost);
    await collector.execute(await collector.plan());
    await collector.close();
    await writer.close();
    expect(await manifestsOf(store)).toEqual([]);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('commits nothing after too long without a renewal, even if no other process noticed', async () => {
    const store = newStore();
    const clock = fakeClock();
    // In a stopped process no timer fires.
    const vault = await open(store, {clock: {...clock, every: () => () => {}}, host: fakeHost(1)});
    const writer = await vault.writer({purpose: 'stopped'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    clock.advance(ttlMs);
    await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject(lost);
    expect(await manifestsOf(store)).toEqual([]);
  });

  test('commits nothing if its lease is removed while the manifest is being put', async () => {
    const store = newStore();
    const slow: Store = {
      ...store,
      put: async (key, body, options) => {
        const outcome = await store.put(key, body, options);
        if (key.endsWith('/manifest')) await store.delete(await keysOf(store, 'locks/'));
        return outcome;
      },
    };
    const {vault} = await processOn(slow, 1);
    await expect(backup(vault, 'one', [{bytes: noise(100, 1)}])).rejects.toMatchObject(lost);
    expect(await manifestsOf(store)).toEqual([]);
  });

  test('removes nothing', async () => {
    const store = newStore();
    const one = await processOn(store, 1, {graceMs: 0});
    await backup(one.vault, 'one', [{bytes: noise(5000, 1)}]);
    const collector = await one.vault.collector({purpose: 'cleanup'});
    await collector.remove([manifestKey('one')]);
    const plan = await collector.plan();
    const two = await processOn(store, 2);
    two.host.dead.add(1);
    const writer = await two.vault.writer({purpose: 'backup'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    await expect(collector.execute(plan)).rejects.toMatchObject(lost);
    await writer.commit(manifestKey('two'), manifestOf(recipe));
    await writer.close();
    expect(await findings(two.vault)).toEqual([]);
  });
});

describe('the row of objects of a lease', () => {
  test('grows without overwriting, and old objects are removed', async () => {
    const store = newStore();
    const written = new Set<string>();
    const counting: Store = {
      ...store,
      put: async (key, body, options) => {
        expect(written.has(key), key).toBe(false);
        written.add(key);
        return store.put(key, body, options);
      },
    };
    await open(store);
    const {vault, clock} = await processOn(counting, 1);
    const writer = await vault.writer({purpose: 'long backup'});
    for (let minute = 0; minute < 60; minute++) {
      await clock.sleep(60_000);
      expect((await keysOf(store, 'locks/')).length).toBeLessThan(20);
    }
    const renewals = [...written].filter((key) => key.startsWith('locks/'));
    expect(renewals.length).toBeGreaterThan(100);
    expect(renewals.every((key) => /^locks\/[0-9a-f]{32}\/\d{8}$/.test(key))).toBe(true);
    await writer.commit(manifestKey('one'), manifestOf());
    await writer.close();
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('shows by its names alone that it is renewed', async () => {
    const store = newStore();
    const clock = fakeClock();
    const far = await open(store, {clock, host: fakeHost(1, 'boot-2/pids-1')});
    const writer = await far.writer({purpose: 'long backup', subject: 'collection shop'});
    const reads: string[] = [];
    const counting: Store = {
      ...store,
      get: async (key, range) => {
        if (key.startsWith('locks/')) reads.push(key);
        return store.get(key, range);
      },
    };
    const here = await open(counting, {clock, host: fakeHost(2), lockWaitMs: 300_000});
    await expect(here.collector({purpose: 'cleanup'})).rejects.toMatchObject(locked('long backup'));
    // The watch took five minutes, with a dozen renewals.
    expect(reads).toHaveLength(1);
    await writer.close();
  });

  test('must be found where it was just written', async () => {
    const store = newStore();
    const late: Store = {...store, list: (prefix) => store.list(prefix === '' ? 'packs/' : `${prefix}none/`)};
    const {vault} = await processOn(late, 1);
    await expect(vault.writer({purpose: 'backup'})).rejects.toMatchObject(locked('lost'));
  });
});

describe('without permission to remove or overwrite objects', () => {
  test('backups and verifications work', async () => {
    const store = newStore();
    await open(store);
    const {vault, clock} = await processOn(appendOnly(store), 1);
    const writer = await vault.writer({purpose: 'backup', subject: 'collection shop'});
    await writer.putDocument('.backups/collections/shop/definition/00000001', {});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    for (let n = 0; n < 30; n++) await clock.sleep(20_000);
    expect(await writer.commit(manifestKey('one'), manifestOf(recipe))).toBe('written');
    await writer.close();
    expect(await findings(vault)).toEqual([]);
    const [pack] = await keysOf(store, 'packs/');
    await store.put(pack!, changed(await store.get(pack!), 7));
    for (let n = 0; n < 2; n++) expect(await findings(vault)).toMatchObject([{what: 'damaged', key: pack}]);
    // The damaged pack stays; the next backup stores its chunks again, in another pack.
    await backup(vault, 'two', [{bytes: noise(5000, 1)}, {bytes: noise(5000, 2)}]);
    expect((await vault.verify((await vault.manifest(manifestKey('two'))).streams, {level: 'data'})).findings).toEqual(
      [],
    );
  });

  test('a released lease has ended, and a collector that may remove objects removes it', async () => {
    const store = newStore();
    await open(store);
    const {vault} = await processOn(appendOnly(store), 1);
    await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
    await backup(vault, 'two', [{bytes: noise(5000, 2)}]);
    expect(await leasesIn(store)).toHaveLength(2);
    const two = await processOn(store, 2);
    await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
    expect(two.clock.monotonicMs()).toBe(0);
    await (await two.vault.collector({purpose: 'cleanup'})).close();
    expect(two.clock.monotonicMs()).toBe(0);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('a released lease whose removal is interrupted has still ended', async () => {
    const store = newStore();
    await open(store);
    const {vault} = await processOn(appendOnly(store), 1);
    await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
    const [ended] = await leasesIn(store);
    let calls = 0;
    const failing: Store = {
      ...store,
      delete: async (keys) => {
        if (keys[0]!.includes(ended!) && calls++ > 0) throw new BkpError('STORE_UNAVAILABLE', 'no reply');
        return store.delete(keys);
      },
    };
    const two = await processOn(failing, 2);
    await expect(two.vault.collector({purpose: 'cleanup'})).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
    expect(await keysOf(store, `locks/${ended}/`)).toEqual([`locks/${ended}/released`]);
  });

  test('a collector without that permission ignores released leases', async () => {
    const store = newStore();
    await open(store);
    const {vault, clock} = await processOn(appendOnly(store), 1);
    await (await vault.writer({purpose: 'backup'})).close();
    const before = await keysOf(store, 'locks/');
    await (await vault.collector({purpose: 'cleanup'})).close();
    expect(clock.monotonicMs()).toBe(0);
    expect(await keysOf(store, 'locks/')).toEqual(expect.arrayContaining(before));
  });

  test('a dead lease is marked as released, and a holder that is alive notices', async () => {
    const store = newStore();
    const one = await processOn(store, 1);
    const writer = await one.vault.writer({purpose: 'suspended', subject: 'collection shop'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    const two = await processOn(appendOnly(store), 2);
    two.host.dead.add(1);
    const next = await two.vault.writer({purpose: 'next', subject: 'collection shop'});
    await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject(locked('lost'));
    expect(await next.commit(manifestKey('two'), manifestOf())).toBe('written');
    await next.close();
    await writer.close();
    expect(await manifestsOf(store)).toEqual([manifestKey('two')]);
  });

  test('confirming a young lease takes one request', async () => {
    const store = newStore();
    await open(store);
    const calls: string[] = [];
    const counting: Store = {
      ...appendOnly(store),
      list: (prefix) => {
        calls.push(`list ${prefix.replace(/[0-9a-f]{32}/, 'ID')}`);
        return store.list(prefix);
      },
    };
    const {vault, clock} = await processOn(counting, 1);
    const writer = await vault.writer({purpose: 'backup'});
    const count = async () => {
      calls.length = 0;
      const before = (await keysOf(store, 'locks/')).length;
      await writer.putDocument(`.backups/collections/shop/definition/${before}`, {});
      return {renewals: (await keysOf(store, 'locks/')).length - before, calls: [...calls]};
    };
    expect(await count()).toEqual({renewals: 0, calls: ['list locks/ID/']});
    await clock.sleep(59_000);
    // Renewed by the timer at 48 s: still young.
    expect(await count()).toEqual({renewals: 0, calls: ['list locks/ID/']});
    await writer.close();
  });
});

describe('a lease of an older bkp, a single object that is overwritten', () => {
  const old = (renewal: number) => ({
    version: 1,
    mode: 'writer',
    state: 'held',
    purpose: 'old backup',
    subject: 'collection shop',
    host: {name: 'host-9', space: 'boot-9', pid: 9},
    since: '2026-11-01T00:00:00Z',
    renewal,
    ttlMs,
  });
  const renew = (store: Store, renewal: number) => store.put('locks/ab', Buffer.from(JSON.stringify(old(renewal))));

  test('is respected while it is renewed', async () => {
    const store = newStore();
    const {vault, clock} = await processOn(store, 1);
    let renewal = 0;
    await renew(store, renewal);
    const stop = clock.every(15_000, () => void renew(store, ++renewal));
    await expect(vault.collector({purpose: 'cleanup'})).rejects.toMatchObject(locked('old backup'));
    await expect(vault.writer({purpose: 'next', subject: 'collection shop'})).rejects.toMatchObject(
      locked('old backup'),
    );
    stop();
  });

  test('ends with its TTL', async () => {
    const store = newStore();
    const {vault, clock} = await processOn(store, 1);
    await renew(store, 7);
    await (await vault.collector({purpose: 'cleanup'})).close();
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });
});

describe('a lease that another thread renews', () => {
  /** A process whose own timers never fire, because one call keeps its thread busy. */
  const busyProcess = async (store: Store, keepLeases: (clock: FakeClock) => VaultOptions['keepLeases']) => {
    await open(store);
    const clock = fakeClock();
    const kept = keepLeases(clock);
    const vault = await open(store, {
      clock: {...clock, every: () => () => {}},
      host: fakeHost(1, 'boot-9/pids-1'),
      ...(kept === undefined ? {} : {keepLeases: kept}),
    });
    return {vault, clock};
  };
  const pass = async (clock: FakeClock, minutes: number) => {
    for (let half = 0; half < 2 * minutes; half++) await clock.sleep(30_000);
  };

  test('stays while that thread renews it, and is released by its own thread', async () => {
    const store = newStore();
    const {vault, clock} = await busyProcess(store, (clock) => (state) => new LeaseRow({store, clock}, state));
    const writer = await vault.writer({purpose: 'long call', subject: 'collection shop'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    await pass(clock, 30);
    const here = await open(store, {clock, host: fakeHost(2)});
    await expect(here.writer({purpose: 'next', subject: 'collection shop'})).rejects.toMatchObject(locked('long call'));
    expect(await writer.commit(manifestKey('one'), manifestOf(recipe))).toBe('written');
    await writer.close();
    expect(await keysOf(store, 'locks/')).toEqual([]);
    await pass(clock, 2);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('is confirmed by a slow listing during which its objects were put and removed', async () => {
    const store = newStore();
    let meanwhile = async () => {};
    const slow: Store = {
      ...store,
      async *list(prefix) {
        const seen = [];
        for await (const facts of store.list(prefix)) seen.push(facts);
        await meanwhile();
        yield* seen;
      },
    };
    const {vault, clock} = await busyProcess(slow, (clock) => (state) => new LeaseRow({store, clock}, state));
    const writer = await vault.writer({purpose: 'backup'});
    meanwhile = () => pass(clock, 10);
    expect(await writer.putDocument('.backups/collections/shop/definition/00000001', {})).toBe('written');
    meanwhile = async () => {};
    await writer.close();
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('is lost when that thread finds it lost', async () => {
    const store = newStore();
    const {vault, clock} = await busyProcess(store, (clock) => (state) => new LeaseRow({store, clock}, state));
    const writer = await vault.writer({purpose: 'suspended'});
    const removed = await keysOf(store, 'locks/');
    await store.delete(removed);
    await pass(clock, 1);
    await expect(writer.commit(manifestKey('one'), manifestOf())).rejects.toMatchObject(locked('lost'));
    await writer.close();
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('is lost when that thread stops renewing it', async () => {
    const store = newStore();
    const {vault, clock} = await busyProcess(store, (clock) => (state) => {
      const row = new LeaseRow({store, clock}, state);
      void row.stop();
      return row;
    });
    const writer = await vault.writer({purpose: 'its thread hangs'});
    await pass(clock, 3);
    await expect(writer.commit(manifestKey('one'), manifestOf())).rejects.toMatchObject(locked('lost'));
    await writer.close();
  });

  test('is renewed by a timer of its own thread if the other one is not available', async () => {
    const store = newStore();
    const clock = fakeClock();
    const vault = await open(store, {clock, host: fakeHost(1), keepLeases: (state, here) => here(state)});
    const writer = await vault.writer({purpose: 'backup'});
    await pass(clock, 5);
    expect(await writer.commit(manifestKey('one'), manifestOf())).toBe('written');
    await writer.close();
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });
});

test('a store that is unavailable for less than the lost time does not lose the lease', async () => {
  const store = newStore();
  let isDown = false;
  const flaky: Store = {
    ...store,
    put: async (key, body, options) => {
      if (isDown && key.startsWith('locks/')) throw new BkpError('STORE_UNAVAILABLE', 'down');
      return store.put(key, body, options);
    },
  };
  const {vault, clock} = await processOn(flaky, 1);
  const writer = await vault.writer({purpose: 'backup'});
  const recipe = await writer.write([{bytes: noise(100, 1)}]);
  isDown = true;
  await clock.sleep(60_000);
  isDown = false;
  expect(await writer.commit(manifestKey('one'), manifestOf(recipe))).toBe('written');
  await writer.close();
});

test('a lease that cannot be released does not fail the work', async () => {
  const store = newStore();
  let isDown = false;
  const down = () => Promise.reject(new BkpError('STORE_UNAVAILABLE', 'down'));
  const flaky: Store = {
    ...store,
    put: (key, body, options) => (isDown ? down() : store.put(key, body, options)),
    delete: (keys) => (isDown ? down() : store.delete(keys)),
  };
  const one = await processOn(flaky, 1);
  const writer = await one.vault.writer({purpose: 'backup', subject: 'collection shop'});
  expect(await writer.commit(manifestKey('one'), manifestOf())).toBe('written');
  isDown = true;
  await writer.close();
  isDown = false;
  const two = await processOn(store, 2);
  two.host.dead.add(1);
  await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
});

test('this host recognises its own process, and ended ones', () => {
  const host = thisHost();
  expect(host.pid).toBe(process.pid);
  expect(host.isAlive(process.pid, host.started)).toBe(true);
  expect(host.isAlive(2 ** 22 + 1, undefined)).toBe(false);
  if (process.platform !== 'linux') return;
  expect(host.space).toMatch(/^[0-9a-f-]{36}\/pid:\[\d+\]\/[0-9a-f]{16}$/);
  // The same pid with another start time is another process.
  expect(host.isAlive(process.pid, '1')).toBe(false);
});
