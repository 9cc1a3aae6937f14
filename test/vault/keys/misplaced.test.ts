import {expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {createKeys, type Secret, unlock} from '../../../src/vault/index.ts';
import {newRawKey, newRoot, openRing, parseRing, ringKey, sealRing} from '../../../src/vault/keys/ring.ts';
import {openPart, sealPart, withChecksum} from '../../../src/vault/keys/sealed-json.ts';
import {makeSlot, parseSlot, SlotOpener, slotsPrefix} from '../../../src/vault/keys/slot.ts';
import {testKey} from '../helpers.ts';

type RingJson = ReturnType<typeof parseRing>;

const vault = 'ab'.repeat(16);
const other = 'cd'.repeat(16);

async function made() {
  const store = openMemoryStore();
  const {ring, slot} = await createKeys({store, nowMs: 0}, vault, {secret: testKey, label: 'first'});
  const slotKey = slotsPrefix + slot.id;
  return {store, ring, slot, slotKey, slotBytes: await store.get(slotKey), ringBytes: await store.get(ringKey(1))};
}

test('a slot or a ring of another vault, or under another name, is named as such', async () => {
  const {slotKey, slotBytes, ringBytes} = await made();
  expect(() => parseSlot(slotBytes, slotKey, other)).toThrow('it belongs to another vault');
  expect(() => parseSlot(slotBytes, `${slotsPrefix}${'0'.repeat(32)}`, vault)).toThrow('it belongs under another name');
  expect(() => parseRing(ringBytes, ringKey(1), other)).toThrow('it belongs to another vault');
  expect(() => parseRing(ringBytes, ringKey(2), vault)).toThrow('it belongs under another name');
});

/** A second ring, as somebody makes it who knows the roots, and then `change`d outside. */
async function secondRing(change: (json: Readonly<RingJson>) => RingJson) {
  const {store, ring, slot} = await made();
  const root = newRoot();
  const keys = {names: newRawKey(vault, 0).key, data: [newRawKey(vault, 0)], meta: [newRawKey(vault, 0)]};
  const {bytes} = sealRing({vault, root, before: ring, keys, slots: ring.slots});
  const json = parseRing(bytes, ringKey(2), vault);
  expect(openRing(json, slot)?.keys.names).toBe(keys.names);
  const outside = ({vault: v, generation, commitment, link, slots}: RingJson) =>
    JSON.stringify({vault: v, generation, commitment, link, slots});
  const body = openPart(root, 'ring body', vault, json.body, outside(json))!;
  const changed = change(json);
  changed.body = sealPart(root, 'ring body', vault, body, outside(changed));
  await store.put(ringKey(2), withChecksum(changed));
  return store;
}

test('a ring that knows the roots before it, and whose link is not theirs, is refused', async () => {
  const store = await secondRing((json) => ({...json, link: '00'.repeat(32)}));
  await expect(unlock(store, testKey, {vault})).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('someone else made it'),
  });
});

test('a ring whose commitment is not that of its root is refused: it could open with two roots', async () => {
  const store = await secondRing((json) => ({...json, commitment: '00'.repeat(32)}));
  await expect(unlock(store, testKey, {vault})).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('the part for this slot does not open'),
  });
});

test('a slot in which what a keeper wrapped was exchanged is damaged, even if it gives the same key', async () => {
  let code = '';
  const keeper: Secret = {
    kind: 'age',
    wrap: async (own) => {
      code = own;
      return {file: 'first'};
    },
    unwrap: async () => code,
  };
  const {slot} = await makeSlot(vault, keeper, undefined, {generation: 1, commitment: '00'.repeat(32)});
  expect(await new SlotOpener(keeper).open(slot)).toMatchObject({id: slot.id});
  const exchanged = {...slot, wrapped: {file: 'second'}};
  await expect(new SlotOpener(keeper).open(exchanged)).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('it does not open: it was changed'),
  });
});
