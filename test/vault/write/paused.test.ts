import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Store, wrapStore} from '../../../src/stores/index.ts';
import type {PackId, VaultCollector} from '../../../src/vault/index.ts';
import {noteRemoval} from '../../../src/vault/indexes/removals.ts';
import {
  backup,
  changed,
  fakeClock,
  keysOf,
  lockingStore,
  manifestKey,
  manifestOf,
  manifestsOf,
  newStore,
  noise,
  open,
} from '../helpers.ts';
import {continued, openOn} from './paused.ts';
import {make} from './small-packs.ts';

// What a process still does when it continues after another one took it for dead. The later checks would keep the harm
// away as well, so each of these says what is not even begun.

const pieces = (...seeds: number[]) => seeds.map((seed) => ({bytes: noise(10_000, seed)}));
const lost = {code: 'VAULT_LOCKED', message: expect.stringContaining('lost')};

describe('a cleanup that continues after it was taken for dead', () => {
  /** Of the first pack, one chunk of five is needed. */
  async function withSparse(): Promise<Store> {
    const store = newStore();
    const vault = await openOn(store, 1);
    await backup(vault, 'one', pieces(1, 2, 3, 4, 5));
    await backup(vault, 'two', pieces(5));
    await backup(vault, 'three', pieces(7, 8, 9, 10, 5));
    await backup(vault, 'four', pieces(10));
    return store;
  }
  const work = async (collector: VaultCollector) => {
    await collector.remove(['one', 'three'].map(manifestKey));
    return collector.execute(await collector.plan());
  };

  test('notes no removal', async () => {
    const {outcome, after} = await continued(
      await withSparse(),
      ({call, key}) => call === 'put' && key.startsWith('index/'),
      work,
    );
    expect(outcome).toMatchObject(lost);
    expect(after.filter(({call, key}) => call === 'delete' || key.startsWith('removals/'))).toEqual([]);
  });

  test('copies nothing out of packs', async () => {
    const store = await withSparse();
    const collector = await (await openOn(store, 2)).collector({purpose: 'cleanup'});
    await collector.remove([manifestKey('one')]);
    const plan = await collector.plan();
    await (await (await openOn(store, 3, [2])).writer({purpose: 'backup'})).close();
    const before = await keysOf(store, 'packs/');
    await expect(collector.execute(plan)).rejects.toMatchObject(lost);
    expect(await keysOf(store, 'packs/')).toEqual(before);
    await collector.close();
  });
});

describe('removal', () => {
  type Sent = {kind: string; keys: readonly string[]};
  function recording(store: Store) {
    const sent: Sent[] = [];
    const recorded = wrapStore(store, {
      put: (key, body, options) => {
        sent.push({kind: `put ${key.split('/')[0]}`, keys: [key]});
        return store.put(key, body, options);
      },
      delete: (keys) => {
        sent.push({kind: `delete ${keys[0]!.split('/')[0]}`, keys});
        return store.delete(keys);
      },
    });
    const positions = (kind: string) => sent.flatMap((one, at) => (one.kind === kind ? [at] : []));
    const requireOrder = (...kinds: string[]) => {
      const ends = kinds.map((kind) => ({first: Math.min(...positions(kind)), last: Math.max(...positions(kind))}));
      for (const [at, {first, last}] of ends.entries()) {
        expect(last, `${kinds[at]} was sent`).toBeGreaterThanOrEqual(0);
        if (at > 0) expect(first, `${kinds[at]} after ${kinds[at - 1]}`).toBeGreaterThan(ends[at - 1]!.last);
      }
    };
    return {recorded, requireOrder};
  }

  test('of a collection begins with its backups: a definition never goes before them', async () => {
    const store = newStore();
    const document = '.backups/collections/shop/definition/00000001';
    const writer = await (await openOn(store, 1)).writer({purpose: 'definition'});
    await writer.putDocument(document, {});
    await writer.close();
    await backup(await openOn(store, 1), 'one', pieces(1));
    let calls = 0;
    const failing = wrapStore(store, {
      delete: async (keys) => {
        if (keys[0]!.startsWith('.backups/') && calls++ > 0) throw new BkpError('STORE_UNAVAILABLE', 'no reply');
        return store.delete(keys);
      },
    });
    const collector = await (await openOn(failing, 2)).collector({purpose: 'drop'});
    await expect(collector.remove([document, manifestKey('one')])).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'});
    await collector.close();
    expect(await keysOf(store, '.backups/')).toEqual([document]);
  });

  test('of packs is noted before indexes go, and these go before the packs', async () => {
    const store = newStore();
    await backup(await openOn(store, 1), 'one', pieces(1, 2));
    const {recorded, requireOrder} = recording(store);
    const collector = await (await openOn(recorded, 2)).collector({purpose: 'drop'});
    await collector.remove([manifestKey('one')]);
    await collector.execute(await collector.plan());
    await collector.close();
    requireOrder('delete .backups', 'put removals', 'delete index', 'delete packs', 'delete removals');
  });

  test('of merged packs is noted before their indexes go, and these go before the packs', async () => {
    const {store} = await make();
    const {recorded, requireOrder} = recording(store);
    const collector = await (await openOn(recorded, 2)).collector({purpose: 'merge'});
    expect(await collector.mergeSmall()).toBe(70);
    await collector.close();
    requireOrder('put packs', 'put removals', 'delete index', 'delete packs', 'delete removals');
  });
});

describe('a commit', () => {
  test('fails if the store does not return the manifest that was written', async () => {
    const store = newStore();
    const key = manifestKey('one');
    const lying = wrapStore(store, {
      get: async (wanted, range) => {
        const bytes = await store.get(wanted, range);
        return wanted === key ? changed(bytes, bytes.length - 1) : bytes;
      },
    });
    await expect(backup(await openOn(lying, 1), 'one', pieces(1))).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('is not what was just written'),
    });
  });

  test('relies on no pack that a cleanup was about to remove, also where an earlier backup named it', async () => {
    const store = newStore();
    const recipe = await backup(await openOn(store, 1), 'old', pieces(1, 2));
    const [pack] = await keysOf(store, 'packs/');
    await noteRemoval(store, [pack!.split('/').at(-1) as PackId], () => 'a'.repeat(32));
    const writer = await (await openOn(store, 2)).writer({purpose: 'increment'});
    await expect(writer.commit(manifestKey('new'), manifestOf(recipe))).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('is about to be removed'),
    });
    await writer.close();
    expect(await manifestsOf(store)).toEqual([manifestKey('old')]);
  });

  test('fails if a pack has another length than was written', async () => {
    const store = newStore();
    const short = wrapStore(store, {
      put: async (key, body, options) => {
        const outcome = await store.put(key, body, options);
        if (!key.includes('/pending/')) return outcome;
        const [pack] = await keysOf(store, 'packs/');
        await store.put(pack!, (await store.get(pack!)).subarray(0, -1));
        return outcome;
      },
    });
    await expect(backup(await openOn(short, 1), 'one', pieces(1))).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringMatching(/was not committed: its pack .* bytes instead of/),
    });
    expect(await manifestsOf(store)).toEqual([]);
  });

  test('sends no manifest if its lease was lost while object locks were extended', async () => {
    const clock = {nowMs: 1_795_000_000_000};
    const store = lockingStore(newStore(), clock, 30);
    const options = {clock: {...fakeClock(), wallMs: () => clock.nowMs}};
    const vault = await open(store, options);
    await backup(vault, 'one', pieces(1));
    clock.nowMs += 24 * 60 * 60 * 1000;
    const sent: string[] = [];
    const slow: Store = {
      ...store,
      put: (key, body, how) => {
        sent.push(key);
        return store.put(key, body, how);
      },
      retain: async (keys) => {
        await store.retain!(keys);
        await store.delete(await keysOf(store, 'locks/'));
      },
    };
    const again = await open(slow, options);
    const writer = await again.writer({purpose: 'backup'});
    const recipe = await writer.write(pieces(1));
    await expect(writer.commit(manifestKey('two'), manifestOf(recipe))).rejects.toMatchObject(lost);
    expect(sent).not.toContain(manifestKey('two'));
    await writer.close();
  });
});
