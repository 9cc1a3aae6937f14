import {describe, expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import type {Store} from '../../src/stores/index.ts';
import {thisHost, type VaultOptions} from '../../src/vault/index.ts';
import {
  backup,
  fakeClock,
  fakeHost,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
} from './helpers.ts';

const ttlMs = 120_000;

/** A vault as one process on one machine sees it, with its own clock. */
async function processOn(store: Store, pid: number, options: Partial<VaultOptions> = {}) {
  const clock = fakeClock();
  const host = fakeHost(pid);
  const vault = await open(store, {clock, host, ...options});
  return {clock, host, vault};
}

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
  expect(await keysOf(store, 'locks/')).toHaveLength(1);
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
    const far = await open(store, {clock: {...clock, nowMs: () => 0}, host: fakeHost(1, 'boot-2/pids-1')});
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
    expect(await keysOf(store, '.backups/')).toEqual([]);
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
    expect(await keysOf(store, '.backups/')).toEqual([]);
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
    expect(await keysOf(store, '.backups/')).toEqual([]);
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

test('a store that fails while a lease is renewed costs nothing when it comes back in time', async () => {
  const store = newStore();
  let isDown = false;
  const flaky: Store = {
    ...store,
    get: async (key, range) => {
      if (isDown && key.startsWith('locks/')) throw new BkpError('STORE_UNAVAILABLE', 'down');
      return store.get(key, range);
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

test('this host knows itself, and who is gone', () => {
  const host = thisHost();
  expect(host.pid).toBe(process.pid);
  expect(host.isAlive(process.pid, host.started)).toBe(true);
  expect(host.isAlive(2 ** 22 + 1, undefined)).toBe(false);
  if (process.platform !== 'linux') return;
  expect(host.space).toMatch(/^[0-9a-f-]{36}\/pid:\[\d+\]$/);
  // The same number, started at another time, is another process.
  expect(host.isAlive(process.pid, '1')).toBe(false);
});
