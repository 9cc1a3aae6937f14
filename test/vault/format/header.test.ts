import {describe, expect, test} from 'vitest';
import type {Store} from '../../../src/stores/index.ts';
import {hashHex} from '../../../src/vault/format/hash.ts';
import {repairHeader} from '../../../src/vault/format/repair-header.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import {
  backup,
  changed,
  fakeClock,
  findings,
  keysOf,
  manifestKey,
  manifestOf,
  newStore,
  noise,
  open,
  readAll,
} from '../helpers.ts';

/** A server that ignores `If-None-Match` and overwrites objects. */
const ignoring = (store: Store): Store => ({
  ...store,
  put: async (key, body) => {
    await store.put(key, body);
    return 'written';
  },
});

const headerOf = async (store: Store) => JSON.parse(Buffer.from(await store.get('bkp.json')).toString());

describe('a store that honours conditional writes', () => {
  test('is recognised, and its header has no field for it, as in older vaults', async () => {
    const store = newStore();
    const vault = await open(store);
    expect(await headerOf(store)).not.toHaveProperty('conditionalWrites');
    expect(await headerOf(store)).toMatchObject({id: vault.id, version: 1});
  });

  test('gives all concurrent creators the same vault', async () => {
    const store = newStore();
    const vaults = await Promise.all(Array.from({length: 8}, () => open(store)));
    expect(new Set(vaults.map(({id}) => id)).size).toBe(1);
    expect(await headerOf(store)).not.toHaveProperty('conditionalWrites');
  });
});

describe('a store that ignores conditional writes', () => {
  const clock = fakeClock();

  test('is recognised, and its header says so', async () => {
    const store = newStore();
    const vault = await open(ignoring(store), {clock});
    expect(await headerOf(store)).toMatchObject({id: vault.id, version: 1, conditionalWrites: false});
    expect((await open(ignoring(store), {create: false})).id).toBe(vault.id);
  });

  test('keeps an existing object, because bkp checks the key before each put', async () => {
    const store = newStore();
    const vault = await open(ignoring(store), {clock});
    const recipe = await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
    const writer = await vault.writer({purpose: 'another'});
    expect(await writer.commit(manifestKey('one'), manifestOf())).toBe('exists');
    const document = '.backups/collections/shop/definition/00000001';
    expect(await writer.putDocument(document, {n: 1})).toBe('written');
    expect(await writer.putDocument(document, {n: 2})).toBe('exists');
    await writer.close();
    expect((await vault.manifest(manifestKey('one'))).streams).toEqual([recipe]);
    expect(await vault.document(document)).toEqual({n: 1});
    expect(await findings(vault)).toEqual([]);
  });

  test('gives all concurrent creators the vault whose header remains', async () => {
    const store = newStore();
    const vaults = await Promise.all(Array.from({length: 5}, () => open(ignoring(store), {clock})));
    const {id} = await headerOf(store);
    expect(vaults.map((vault) => vault.id)).toEqual(vaults.map(() => id));
  });
});

test('opening a vault requests the header once, whether there is one or not', async () => {
  const store = newStore();
  const headerCalls = async () => {
    const counting = faultyStore(store, {at: 0, fault: 'fail'});
    await open(counting, {create: false}).catch(() => {});
    return counting.calls.filter((call) => call.endsWith('bkp.json'));
  };
  expect(await headerCalls()).toEqual(['get bkp.json']);
  await expect(open(store, {create: false})).rejects.toMatchObject({code: 'VAULT_ABSENT'});
  await open(store);
  expect(await headerCalls()).toEqual(['get bkp.json']);
  expect(await keysOf(store)).toEqual(['bkp.json']);
});

describe('a vault whose header', () => {
  const lost: [string, (store: Store) => Promise<void>][] = [
    ['is missing', (store) => store.delete(['bkp.json']).then(() => {})],
    ['is empty', (store) => replaced(store, Buffer.alloc(0))],
    ['has a wrong byte', async (store) => replaced(store, changed(await store.get('bkp.json'), 40))],
  ];
  const replaced = async (store: Store, bytes: Uint8Array) => {
    await store.put('bkp.json', bytes);
  };

  test.each(lost)('%s cannot be opened, and is intact after the repair', async (_, lose) => {
    const store = newStore();
    const recipe = await backup(await open(store), 'one', [{bytes: noise(5000, 1)}]);
    await lose(store);
    for (const create of [false, true]) {
      await expect(open(store, {create})).rejects.toMatchObject({
        code: expect.stringMatching(/^OBJECT_(MISSING|DAMAGED)$/),
        next: expect.stringContaining('doctor --repair'),
      });
    }
    expect(await repairHeader(store, 'a'.repeat(32))).toBe(true);
    const vault = await open(store, {create: false});
    expect(vault.id).toBe('a'.repeat(32));
    expect(await readAll(vault, recipe)).toEqual(noise(5000, 1));
    expect(await headerOf(store)).not.toHaveProperty('conditionalWrites');
    expect(await repairHeader(store, 'b'.repeat(32))).toBe(false);
  });

  test.each(lost)(
    '%s is repaired also if the first manifests are destroyed, or if only an index is left',
    async (_, lose) => {
      const store = newStore();
      const vault = await open(store);
      const recipe = await backup(vault, 'one', [{bytes: noise(5000, 1)}]);
      await backup(vault, 'two', [{bytes: noise(5000, 2)}]);
      await store.put(manifestKey('one'), Buffer.alloc(500));
      await lose(store);
      await expect(open(store)).rejects.toMatchObject({next: expect.stringContaining('doctor --repair')});
      expect(await repairHeader(store, vault.id)).toBe(true);
      expect(await readAll(await open(store, {create: false}), recipe)).toEqual(noise(5000, 1));
      await store.put(manifestKey('two'), Buffer.alloc(500));
      await lose(store);
      expect(await repairHeader(store, vault.id)).toBe(true);
    },
  );

  test('is missing is detected in a vault that has a definition and no backup', async () => {
    const store = newStore();
    const writer = await (await open(store)).writer({purpose: 'define'});
    await writer.putDocument('.backups/collections/shop/definition/00000001', {n: 1});
    await writer.close();
    await store.delete(['bkp.json']);
    await expect(open(store, {create: false})).rejects.toMatchObject({code: 'OBJECT_MISSING'});
    expect(await repairHeader(store, 'a'.repeat(32))).toBe(true);
  });

  test('is damaged beside nothing else of bkp is not written again, and the next step is another one', async () => {
    const store = newStore();
    await store.put('bkp.json', Buffer.alloc(0));
    await expect(repairHeader(store, 'a'.repeat(32))).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      next: expect.not.stringContaining('doctor'),
    });
  });

  test('is missing in an encrypted vault is written again for the vault of its keys only', async () => {
    const store = newStore();
    await store.put(manifestKey('one'), Buffer.from('BKPE and what is sealed'));
    await expect(open(store, {create: false})).rejects.toMatchObject({code: 'OBJECT_MISSING'});
    await expect(repairHeader(store, 'a'.repeat(32))).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      next: expect.stringContaining('bkp vault key import'),
    });
    await store.put(manifestKey('one'), Buffer.alloc(500));
    await store.put('keys/rings/00000001', Buffer.from(JSON.stringify({vault: 'c'.repeat(32)})));
    await expect(open(store, {create: false})).rejects.toMatchObject({code: 'OBJECT_MISSING'});
    expect(await repairHeader(store, 'a'.repeat(32))).toBe(true);
    expect(await headerOf(store)).toMatchObject({id: 'c'.repeat(32), encryption: 'bkp-1'});
  });

  test('is missing is not detected in a store of another program', async () => {
    const store = newStore();
    await store.put('backup/home/manifest', Buffer.from('{"of": "another program"}'));
    expect(await repairHeader(store, 'a'.repeat(32))).toBe(false);
    await expect(open(store, {create: false})).rejects.toMatchObject({code: 'VAULT_ABSENT'});
    await expect(open(store)).rejects.toMatchObject({code: 'STORE_REFUSED'});
  });

  test('is of a newer bkp is never overwritten by a repair', async () => {
    const store = newStore();
    await backup(await open(store), 'one', [{bytes: noise(5000, 1)}]);
    const {checksum: _, ...header} = {...(await headerOf(store)), version: 2};
    const checksum = hashHex(Buffer.from(JSON.stringify(header)));
    await replaced(store, Buffer.from(JSON.stringify({...header, checksum})));
    await expect(repairHeader(store, 'a'.repeat(32))).rejects.toMatchObject({code: 'STORE_REFUSED'});
  });
});
