import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import {LeaseRow, thisHost, type VaultOptions} from '../../../src/vault/index.ts';
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

/** Ids of the leases of which something lies in the store. */
const leasesIn = async (store: Store) => [...new Set((await keysOf(store, 'locks/')).map((key) => key.split('/')[1]!))];

/** Credentials that may put, and neither remove nor overwrite anything. */
const appendOnly = (store: Store): Store => ({
  ...store,
  put: async (key, body, options) => {
    // As a bucket's policy forbids overwriting: every put needs the condition.
    if (!options?.ifAbsent) throw new BkpError('STORE_DENIED', `put ${key} unconditionally`);
    return store.put(key, body, options);
  },
  delete: async () => {
    throw new BkpError('STORE_DENIED', 'no right to remove');
  },
});

const locked = (text: string) => ({code: 'VAULT_LOCKED', message: expect.stringContaining(text)});

test('many writers work at once, and one of each subject', async () => {
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
  // At once: the other is seen to run.
  expect(two.clock.monotonicMs() - before).toBeLessThan(1000);
  await shop.close();
  await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
  await other.close();
  await anonymous.close();
  expect(await keysOf(store, 'locks/')).toEqual([]);
});

test('a collector waits for writers, bounded, and then says who it is', async () => {
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

test('a writer waits for a collector, and goes on when it has ended', async () => {
  const store = newStore();
  const one = await processOn(store, 1);
  const two = await processOn(store, 2);
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

test('waiting can be told to stop, and leaves no lease behind', async () => {
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

test('whatever races, no collector is beside anybody, and of one subject there is one writer', async () => {
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

describe('a lease whose holder is gone', () => {
  test('of this machine ends at once', async () => {
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
    ['of a machine that does not tell', null],
  ])('%s ends when it did not change for its TTL', async (_, space) => {
    const store = newStore();
    const far = await open(store, {clock: fakeClock(), host: fakeHost(1, space)});
    await far.writer({purpose: 'power cut', subject: 'collection shop'});
    const two = await processOn(store, 2);
    await (await two.vault.writer({purpose: 'next', subject: 'collection shop'})).close();
    expect(two.clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    expect(two.clock.monotonicMs()).toBeLessThan(2 * ttlMs);
    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  test('stays while it is renewed, whatever its clock says', async () => {
    const store = newStore();
    const clock = fakeClock();
    // Both live on the same moments, and the far one believes to be in 1970.
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

  test('that nobody can parse ends when it did not change for a TTL', async () => {
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

  test('commits nothing: its lease was removed', async () => {
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

  test('commits nothing: it could not renew for too long, whether or not anybody noticed', async () => {
    const store = newStore();
    const clock = fakeClock();
    // A process that is stopped has no timers.
    const vault = await open(store, {clock: {...clock, every: () => () => {}}, host: fakeHost(1)});
    const writer = await vault.writer({purpose: 'stopped'});
    const recipe = await writer.write([{bytes: noise(5000, 1)}]);
    clock.advance(ttlMs);
    await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject(lost);
    expect(await manifestsOf(store)).toEqual([]);
  });

  test('commits nothing: its lease goes while the manifest is on its way', async () => {
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

describe('a lease is a row of objects', () => {
  test('that grows, of which none is written over, and whose old ones go', async () => {
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

  test('whose names alone tell others that it lives', async () => {
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
    // Watched for five minutes, in which it was renewed a dozen times.
    expect(reads).toHaveLength(1);
    await writer.close();
  });

  test('and one that cannot be found where it was just written is no lease', async () => {
    const store = newStore();
    const late: Store = {...store, list: (prefix) => store.list(prefix === '' ? 'packs/' : `${prefix}none/`)};
    const {vault} = await processOn(late, 1);
    await expect(vault.writer({purpose: 'backup'})).rejects.toMatchObject(locked('lost'));
  });
});

describe('without the right to remove or to overwrite', () => {
  test('all work of a backup and of a verification is done', async () => {
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
    // The same pack could not be repaired; with other chunks it is another one.
    await backup(vault, 'two', [{bytes: noise(5000, 1)}, {bytes: noise(5000, 2)}]);
    expect(await vault.verify((await vault.manifest(manifestKey('two'))).streams, {level: 'data'})).toEqual([]);
  });

  test('a lease that was given back is over, and a collector that may removes what lies there', async () => {
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

  test('a collector that may not remove them either passes them over', async () => {
    const store = newStore();
    await open(store);
    const {vault, clock} = await processOn(appendOnly(store), 1);
    await (await vault.writer({purpose: 'backup'})).close();
    const before = await keysOf(store, 'locks/');
    await (await vault.collector({purpose: 'cleanup'})).close();
    expect(clock.monotonicMs()).toBe(0);
    expect(await keysOf(store, 'locks/')).toEqual(expect.arrayContaining(before));
  });

  test('a dead lease is buried, and a holder that was not dead notices', async () => {
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

  test('a lease is confirmed by one request while it is young', async () => {
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

describe('a lease of an older bkp, one object that is written over', () => {
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

describe('a lease that is renewed elsewhere than where its work is done', () => {
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

  test('lives as long as it is renewed there, and ends where it began', async () => {
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

  test('is confirmed by a listing that was slow, while others of its objects came and went', async () => {
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

  test('is lost when it is found lost there', async () => {
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

  test('is lost when it is not renewed there any more', async () => {
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

  test('is renewed by a timer of its own thread when there is no other one', async () => {
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

test('a store that fails while a lease is renewed costs nothing when it comes back in time', async () => {
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

test('a lease that cannot be given back undoes no work, and hides no other fault', async () => {
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

test('this host knows itself, and who is gone', () => {
  const host = thisHost();
  expect(host.pid).toBe(process.pid);
  expect(host.isAlive(process.pid, host.started)).toBe(true);
  expect(host.isAlive(2 ** 22 + 1, undefined)).toBe(false);
  if (process.platform !== 'linux') return;
  expect(host.space).toMatch(/^[0-9a-f-]{36}\/pid:\[\d+\]\/[0-9a-f]{16}$/);
  // The same number, started at another time, is another process.
  expect(host.isAlive(process.pid, '1')).toBe(false);
});
