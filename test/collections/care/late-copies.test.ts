import {expect, test} from 'vitest';
import {createCollection, listCollections, planRetention} from '../../../src/collections/index.ts';
import type {Store} from '../../../src/stores/index.ts';
import {openShop} from './pinned-shop.ts';

// A store on a server sends a put again when no response comes, so a copy of one may arrive after what it wrote was
// removed. docs/format.md, "What arrives late".

const weekMs = 7 * 24 * 60 * 60 * 1000;

/** A shop in a store that repeats puts. `arrive` delivers a copy of the first puts of such keys. */
async function openRepeating(isRepeated: (key: string) => boolean) {
  const copies = new Map<string, Uint8Array>();
  const repeating = (store: Store): Store => ({
    ...store,
    properties: {...store.properties, repeatsPuts: true},
    put: (key, body, options) => {
      if (isRepeated(key)) copies.set(key, Uint8Array.from(body));
      return store.put(key, body, options);
    },
  });
  const shop = await openShop(repeating);
  const arrive = async (count = copies.size) => {
    for (const [key, body] of [...copies].slice(0, count)) await shop.memory.put(key, body, {ifAbsent: true});
  };
  const create = (id: string) =>
    shop.bench.vault((vault) =>
      createCollection(
        {vault, nowMicros: () => shop.clock.ms * 1000, randomId: () => id.repeat(32)},
        {name: 'c', members: {kind: 'database'}, settings: [], ifNotExists: false},
      ),
    );
  return {...shop, arrive, create, keys: () => [...shop.memory.objects.keys()]};
}

test('a put of CREATE that arrives after DROP and a cleanup brings no collection back', async () => {
  const shop = await openRepeating((key) => key.includes('/definition/'));
  await shop.take('full');
  await shop.drop();
  await shop.bench.cleanUp();
  await shop.arrive(1);
  const collections = () => shop.bench.vault((vault) => listCollections(vault));
  expect(await collections()).toEqual([]);
  await shop.bench.cleanUp();
  shop.clock.ms += weekMs + 1000;
  await shop.bench.cleanUp();
  expect(await collections()).toEqual([]);
  expect(shop.keys().filter((key) => key.startsWith('.backups/'))).toEqual([]);
});

test('puts of a dropped collection that arrive late change nothing of one that was created after it', async () => {
  const shop = await openRepeating((key) => key.includes('/definition/'));
  await shop.take('full');
  await shop.reset('KEEP_LATEST');
  await shop.drop();
  await shop.bench.cleanUp();
  await shop.create('d');
  const [backup] = await shop.take('full');
  await shop.bench.cleanUp();
  await shop.arrive();
  await shop.bench.cleanUp();
  expect(await shop.bench.backups('c')).toEqual([backup]);
  const {settings, verdicts} = await shop.bench.vault((vault) => planRetention(vault, 'c', {nowMs: shop.clock.ms}));
  expect({settings, goes: verdicts.map(({goes}) => goes)}).toEqual({settings: [], goes: [false]});
});

test('a put of UNPIN that arrives late does not end a pin that was made after it', async () => {
  const shop = await openRepeating((key) => key.endsWith('/unpinned'));
  const [first] = await shop.take('full');
  await shop.pin(first!);
  await shop.unpin(first!);
  await shop.reset('KEEP_LATEST');
  await shop.bench.cleanUp('c');
  // The next pin has a higher number.
  expect(shop.pinKeys()).toHaveLength(1);
  await shop.pin(first!, {reason: 'again'});
  await shop.bench.cleanUp('c');
  await shop.arrive();
  await expect(shop.dropBackup(first!)).rejects.toMatchObject({code: 'PRECONDITION'});
  await shop.unpin(first!);
  await shop.bench.cleanUp('c');
  shop.clock.ms += weekMs + 1000;
  await shop.bench.cleanUp('c');
  expect(shop.pinKeys()).toEqual([]);
});
