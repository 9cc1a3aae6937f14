import {expect, test} from 'vitest';
import {openMemoryStore} from '../../src/stores/index.ts';
import {storeContract} from './contract.ts';

storeContract(async () => openMemoryStore());

test('a put beyond the capacity is STORE_FULL', async () => {
  const store = openMemoryStore({capacityBytes: 10});
  await store.put('a', Buffer.alloc(8));
  await expect(store.put('b', Buffer.alloc(3))).rejects.toMatchObject({code: 'STORE_FULL'});
  expect(await store.stat('b')).toBeUndefined();
});
