import {expect, test} from 'vitest';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {createKeys, unlock} from '../../../src/vault/index.ts';
import {newRawKey, newRoot, openRing, parseRing, ringKey, sealRing} from '../../../src/vault/keys/ring.ts';
import {openPart, sealPart, withChecksum} from '../../../src/vault/keys/sealed-json.ts';
import {parseSlot, slotsPrefix} from '../../../src/vault/keys/slot.ts';
import {testKey} from '../helpers.ts';

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

test('a ring that knows the roots before it, and whose link is not theirs, is refused', async () => {
  const {store, ring, slot} = await made();
  const root = newRoot();
  const keys = {names: newRawKey(vault, 0).key, data: [newRawKey(vault, 0)], meta: [newRawKey(vault, 0)]};
  const {bytes} = sealRing({vault, root, before: ring, keys, slots: ring.slots});
  const json = parseRing(bytes, ringKey(2), vault);
  expect(openRing(json, slot)?.keys.names).toBe(keys.names);
  const outside = ({vault: v, generation, commitment, link, slots}: typeof json) =>
    JSON.stringify({vault: v, generation, commitment, link, slots});
  const unlinked = {...json, link: '00'.repeat(32)};
  const body = openPart(root, 'ring body', vault, json.body, outside(json))!;
  unlinked.body = sealPart(root, 'ring body', vault, body, outside(unlinked));
  await store.put(ringKey(2), withChecksum(unlinked));
  await expect(unlock(store, testKey, {vault})).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('someone else made it'),
  });
});
