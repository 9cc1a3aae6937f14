import {expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import {faultyStore} from '../helpers/faulty-store.ts';
import {
  asProcess,
  change,
  copyOf,
  expectWhole,
  made,
  open,
  openedBy,
  reencrypt,
  rotate,
  unlocked,
} from '../vault/reseal/re-encrypted.ts';

test('a re-encryption that ends at any store call leaves every backup whole, and the next one goes on', async () => {
  const {store: start, old, backups} = await made();
  await change(start, await open(start), rotate);
  const attempt = (store: Store, pid: number) => asProcess(store, pid, (vault) => reencrypt(store, vault));
  const counting = faultyStore(await copyOf(start), {at: 0, fault: 'end after'});
  await attempt(counting, 1);
  const calls = counting.calls.length;
  let resumed = 0;
  for (const fault of ['end after', 'fail'] as const) {
    for (let at = 1; at <= calls; at++) {
      const call = `${fault} ${at}: ${counting.calls[at - 1]}`;
      const store = await copyOf(start);
      await attempt(faultyStore(store, {at, fault}), 1).catch(() => {});
      await expectWhole(store, backups, call);
      const left = (await openedBy(store, old)).opened.filter((key) => !key.startsWith('locks/')).length;
      const isDone = (await unlocked(store, await open(store))).ring.reencrypting === undefined;
      if (isDone) expect(left, call).toBe(0);
      const {objects, damaged} = await attempt(store, 2);
      expect(damaged, call).toEqual([]);
      expect((await openedBy(store, old)).opened, call).toEqual([]);
      if (objects > 0 && left < 8) resumed += 1;
      await expectWhole(store, backups, call);
    }
  }
  expect(resumed).toBeGreaterThan(0);
});
