import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {PutOptions, Store} from '../../../src/stores/index.ts';
import type {Vault, VaultCollector} from '../../../src/vault/index.ts';
import {backup, findings, keysOf, manifestKey, newStore, noise, readAll} from '../helpers.ts';
import {type Call, openOn, pausing} from './paused.ts';

// A process is paused before a request while another one takes it for dead, and is killed after it: what it would
// have checked next, it never checks.

const never = () => new Promise<never>(() => {});

/** The store of a process that is killed right after it has sent a put, which arrives when `arrive` is called. */
function killing(store: Store, isLast: (key: string) => boolean) {
  let sent: {key: string; bytes: Uint8Array; options: PutOptions | undefined} | undefined;
  let reach = () => {};
  const killed = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const living =
    <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
    (...args: Args): Promise<Result> =>
      sent === undefined ? work(...args) : never();
  const dying: Store = {
    ...store,
    get: living((key, range) => store.get(key, range)),
    stat: living((key) => store.stat(key)),
    delete: living((keys) => store.delete(keys)),
    list: async function* (prefix, options) {
      if (sent !== undefined) await never();
      yield* store.list(prefix, options);
    },
    put: living(async (key, body, options) => {
      if (!isLast(key)) return store.put(key, body, options);
      sent = {key, bytes: Uint8Array.from(body), options};
      reach();
      return never();
    }),
  };
  return {dying, killed, arrive: async () => void (sent && (await store.put(sent.key, sent.bytes, sent.options)))};
}

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));
const late = manifestKey('late');

async function cleanUp(vault: Vault, ...names: string[]) {
  const collector = await vault.collector({purpose: 'cleanup'});
  try {
    await collector.remove(names.map(manifestKey));
    await collector.execute(await collector.plan());
  } finally {
    await collector.close();
  }
}

/** A store with a backup whose chunks the next one shares. */
async function withOld(): Promise<Store> {
  const store = newStore();
  await backup(await openOn(store, 1), 'old', pieces(1, 2));
  return store;
}

/** Nothing that is listed as a backup may lack anything. */
async function expectSound(store: Store, listed: readonly string[]) {
  const vault = await openOn(store, 9, [1, 2, 3]);
  const keys: string[] = [];
  for await (const key of vault.keys('.backups/')) keys.push(key);
  expect(keys).toEqual(listed);
  expect(await findings(vault)).toEqual([]);
}

describe('a writer that is killed when it has sent its manifest', () => {
  test('has made no backup if a cleanup came before the manifest arrives', async () => {
    const store = await withOld();
    const {dying, killed, arrive} = killing(store, (key) => key === late);
    void backup(await openOn(dying, 2), 'late', pieces(1, 2));
    await killed;
    await cleanUp(await openOn(store, 3, [2]), 'old');
    await arrive();
    await expectSound(store, []);
    await cleanUp(await openOn(store, 4, [2]));
    await expectSound(store, []);
  });

  test('sent it only if no cleanup had begun when it listed what the backup needs', async () => {
    const store = await withOld();
    const {dying, arrive} = killing(store, (key) => key === late);
    const writer = pausing(dying, ({call, key}) => call === 'put' && key.includes('/pending/'));
    const ending = backup(await openOn(writer.paused, 2), 'late', pieces(1, 2)).catch((error: unknown) => error);
    await writer.reached;
    // It has decided about everything that is pending, and has not yet noted what it removes.
    const collector = pausing(store, ({call, key}) => call === 'put' && key.startsWith('removals/'));
    const cleaning = cleanUp(await openOn(collector.paused, 3, [2]), 'old');
    await collector.reached;
    writer.proceed();
    await Promise.race([ending, new Promise((resolve) => setTimeout(resolve, 300))]);
    collector.proceed();
    await cleaning;
    await arrive();
    await cleanUp(await openOn(store, 4, [2]));
    await expectSound(store, []);
    expect(await ending).toMatchObject({code: 'VAULT_LOCKED'});
  });
});

test('a manifest whose writer could neither see nor withdraw it is decided about by the next cleanup', async () => {
  const store = await withOld();
  let sent: Uint8Array | undefined;
  const lossy: Store = {
    ...store,
    put: async (key, body, options) => {
      if (key !== late && !key.includes('/verdict/')) return store.put(key, body, options);
      if (key === late) sent = Uint8Array.from(body);
      throw new BkpError('STORE_UNAVAILABLE', 'no reply');
    },
  };
  await expect(backup(await openOn(lossy, 2), 'late', pieces(1, 2))).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
  await cleanUp(await openOn(store, 3), 'old');
  await store.put(late, sent!);
  await expectSound(store, []);
});

describe('a collector that another process takes for dead', () => {
  type Step = (collector: VaultCollector) => Promise<unknown>;
  /** Paused before the request; meanwhile another process makes a backup. @returns the outcome, and what it needs */
  async function paused(isChosen: (request: Call) => boolean, work: Step, meanwhile = 'new') {
    const store = await withOld();
    await backup(await openOn(store, 1), 'other', pieces(5));
    const {paused: held, proceed, reached} = pausing(store, isChosen);
    const collector = await (await openOn(held, 2)).collector({purpose: 'cleanup'});
    const ending = work(collector).catch((error: unknown) => error);
    await reached;
    const recipe = await backup(await openOn(store, 3, [2]), meanwhile, pieces(1, 2));
    proceed();
    const outcome = await ending;
    await collector.close();
    return {store, outcome, recipe};
  }

  test('removes no backup', async () => {
    const store = await withOld();
    const collector = await (await openOn(store, 2)).collector({purpose: 'cleanup'});
    await backup(await openOn(store, 3, [2]), 'new', pieces(1, 2));
    await expect(collector.remove([manifestKey('old')])).rejects.toMatchObject({code: 'VAULT_LOCKED'});
    await collector.close();
    await expectSound(store, [manifestKey('new'), manifestKey('old')]);
  });

  test('makes no plan', async () => {
    const store = await withOld();
    const collector = await (await openOn(store, 2)).collector({purpose: 'cleanup'});
    await backup(await openOn(store, 3, [2]), 'new', pieces(3));
    await expect(collector.plan()).rejects.toMatchObject({code: 'VAULT_LOCKED'});
    await expect(collector.requireIntact([manifestKey('old')])).rejects.toMatchObject({code: 'VAULT_LOCKED'});
    await collector.close();
  });

  test.each(['index/', 'packs/'])('removes nothing under %s after that', async (prefix) => {
    // With more packs than are removed at once, the pause is before the first removal of each kind.
    const isChosen = ({call, key}: Call) => call === 'put' && key.startsWith('removals/');
    const {store, outcome, recipe} = await paused(isChosen, async (collector) => {
      await collector.remove([manifestKey('old')]);
      return collector.execute(await collector.plan());
    });
    expect(outcome).toMatchObject({code: 'VAULT_LOCKED'});
    expect((await keysOf(store, prefix)).length).toBeGreaterThan(0);
    expect(await readAll(await openOn(store, 4), recipe)).toHaveLength(20_000);
    await expectSound(store, [manifestKey('new'), manifestKey('other')]);
  });
});
