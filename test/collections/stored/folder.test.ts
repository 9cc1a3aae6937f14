import {expect, test} from 'vitest';
import {createCollection} from '../../../src/collections/index.ts';
import {isLiving, readAllFolders} from '../../../src/collections/stored/folder.ts';
import {openMemoryStore} from '../../../src/stores/index.ts';
import {faultyStore} from '../../helpers/faulty-store.ts';
import {open, testPlain} from '../../vault/helpers.ts';

const names = ['orders', 'Bücher', 'x'.repeat(200)];

testPlain('the folders of all collections are read with one listing of the store', async () => {
  const store = openMemoryStore();
  const vault = await open(store);
  for (const [at, name] of names.entries())
    await createCollection(
      {vault, nowMicros: () => 0, randomId: () => String(at).repeat(32)},
      {name, members: {kind: 'database'}, settings: [], ifNotExists: false},
    );
  vault.close();
  const counted = faultyStore(store, {at: 0, fault: 'fail'});
  const reader = await open(counted, {create: false});
  const before = counted.calls.length;
  const found = (await readAllFolders(reader)).filter(isLiving);
  reader.close();
  expect(found.map(({name}) => name).sort()).toEqual([...names].sort());
  expect(counted.calls.slice(before).filter((call) => call.startsWith('list'))).toEqual(['list .backups/collections/']);
});

test('a definition that a cleanup replaced after the listing is found by another one', async () => {
  const store = openMemoryStore();
  const vault = await open(store);
  const tools = {vault, nowMicros: () => 0, randomId: () => 'c'.repeat(32)};
  await createCollection(tools, {name: 'c', members: {kind: 'database'}, settings: [], ifNotExists: false});
  const key = '.backups/collections/c/definition/00000001';
  const reader = {
    ...{gone: () => [], lastCommitted: () => undefined},
    document: (wanted: string) => vault.document(wanted),
    async *keys(prefix: string) {
      yield* prefix.endsWith('/c/') ? vault.keys(prefix) : [key.replace('0001', '0000')];
    },
  } as unknown as typeof vault;
  const [folder] = await readAllFolders(reader);
  vault.close();
  expect(folder?.newest?.name).toBe('c');
});
