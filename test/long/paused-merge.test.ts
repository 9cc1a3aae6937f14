import {describe, expect, test} from 'vitest';
import {wrapStore} from '../../src/stores/index.ts';
import type {VaultCollector} from '../../src/vault/index.ts';
import {changed, copyOf, findings, keysOf} from '../vault/helpers.ts';
import {type Call, continued, openOn} from '../vault/write/paused.ts';
import {make} from '../vault/write/small-packs.ts';

const lost = {code: 'VAULT_LOCKED', message: expect.stringContaining('lost')};
const made = make();

describe('a merge of small packs that continues after it was taken for dead', () => {
  const merging = (collector: VaultCollector) => collector.mergeSmall();

  test('begins nothing', async () => {
    const store = await copyOf((await made).store);
    const read: string[] = [];
    const recorded = wrapStore(store, {
      get: (key, range) => {
        read.push(key);
        return store.get(key, range);
      },
    });
    const collector = await (await openOn(recorded, 2)).collector({purpose: 'merge'});
    await (await (await openOn(store, 3, [2])).writer({purpose: 'backup'})).close();
    const before = await keysOf(store);
    await expect(collector.mergeSmall()).rejects.toMatchObject(lost);
    expect(await keysOf(store)).toEqual(before);
    expect(read.filter((key) => key.startsWith('packs/'))).toEqual([]);
    await collector.close();
  });

  test.each<[string, Call['call'], string, (sent: Call) => boolean]>([
    ['writes nothing when it has read the packs', 'get', 'packs/', ({call}) => call !== 'get'],
    ['notes no removal when it has written packs', 'put', 'packs/', ({key}) => key.startsWith('removals/')],
    ['removes nothing when it has noted what', 'put', 'removals/', ({call}) => call === 'delete'],
    ['removes no pack when it has removed indexes', 'delete', 'index/', ({call}) => call === 'delete'],
    ['keeps its note when it has removed packs', 'delete', 'packs/', ({call}) => call === 'delete'],
  ])('%s', async (_, call, prefix, isRefused) => {
    const store = await copyOf((await made).store);
    const isChosen = (sent: Call) => sent.call === call && sent.key.startsWith(prefix);
    const {outcome, after} = await continued(store, isChosen, merging);
    expect(outcome).toMatchObject(lost);
    expect(after.filter(isRefused)).toEqual([]);
    expect(await findings(await openOn(store, 9))).toEqual([]);
  });
});

test('a merge removes nothing if the store does not return the merged packs as they were written', async () => {
  const store = await copyOf((await made).store);
  const packs = await keysOf(store, 'packs/');
  const lying = wrapStore(store, {
    get: async (key, range) => {
      const bytes = await store.get(key, range);
      return key.startsWith('packs/') && !packs.includes(key) ? changed(bytes, 100) : bytes;
    },
  });
  const collector = await (await openOn(lying, 2)).collector({purpose: 'merge'});
  await expect(collector.mergeSmall()).rejects.toMatchObject({
    code: 'OBJECT_DAMAGED',
    message: expect.stringContaining('it is not what was just written'),
  });
  await collector.close();
  expect(await keysOf(store, 'packs/')).toEqual(expect.arrayContaining(packs));
});
