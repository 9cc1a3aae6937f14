import {expect, test} from 'vitest';
import {openMemoryStore, type Store} from '../../src/stores/index.ts';
import {changeKeys, createKeys, parseSecret, unlock} from '../../src/vault/index.ts';
import {withChecksum} from '../../src/vault/keys/sealed-json.ts';

const vault = 'ab'.repeat(16);

async function saltsIn(store: Store): Promise<Record<string, string>> {
  const salts: Record<string, string> = {};
  for await (const {key} of store.list('keys/slots/')) {
    salts[key] = JSON.parse(Buffer.from(await store.get(key)).toString()).kdf.salt;
  }
  return salts;
}

test('a new password has the salt of the others, and never one that someone put into a slot', async () => {
  const store = openMemoryStore();
  const tools = {store, nowMs: 0};
  const [one, two, three] = ['one', 'two', 'three'].map((text) => parseSecret(text)) as [never, never, never];
  await createKeys(tools, vault, {secret: one, label: 'one'});
  const [salt] = Object.values(await saltsIn(store));
  await changeKeys(tools, await unlock(store, one, {vault}), {add: {secret: two, label: 'two'}});
  expect(new Set(Object.values(await saltsIn(store)))).toEqual(new Set([salt]));
  const from = await unlock(store, two, {vault});
  const forged = 'ee'.repeat(16);
  for await (const {key} of store.list('keys/')) {
    if (!key.includes('/slots/') || key.endsWith(from.slot.id)) continue;
    const {checksum: _, ...slot} = JSON.parse(Buffer.from(await store.get(key)).toString());
    await store.put(key, withChecksum({...slot, kdf: {...slot.kdf, salt: forged}}));
  }
  const {added} = await changeKeys(tools, from, {add: {secret: three, label: 'three'}});
  expect((await saltsIn(store))[`keys/slots/${added!.id}`]).toBe(salt);
  await unlock(store, three, {vault});
});
