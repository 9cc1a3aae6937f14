import {expect, test} from 'vitest';
import type {Store} from '../../src/stores/index.ts';
import {mendKeys, type Vault} from '../../src/vault/index.ts';
import {faultyStore} from '../helpers/faulty-store.ts';
import {keysOf} from '../vault/helpers.ts';
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

const forget = (store: Store, vault: Vault) =>
  vault.forgetKeys({
    purpose: 'test',
    forget: async (ids) => {
      await change(store, vault, {forget: ids});
      return true;
    },
  });

test('keys are forgotten or kept, whatever store call is the last one, and the next command ends it', async () => {
  const {store: start, old, backups} = await made();
  const first = await open(start);
  await change(start, first, rotate);
  await reencrypt(start, first);
  const attempt = (store: Store, pid: number) => asProcess(store, pid, (vault) => forget(store, vault));
  const counting = faultyStore(await copyOf(start), {at: 0, fault: 'end after'});
  await attempt(counting, 1);
  const calls = counting.calls.length;
  const outcomes = new Set<number>();
  for (const fault of ['end after', 'fail'] as const) {
    for (let at = 1; at <= calls; at++) {
      const call = `${fault} ${at}: ${counting.calls[at - 1]}`;
      const store = await copyOf(start);
      await attempt(faultyStore(store, {at, fault}), 1).catch(() => {});
      await expectWhole(store, backups, call);
      outcomes.add((await unlocked(store, await open(store))).ring.keys.data.length);
      await attempt(store, 2);
      const vault = await open(store);
      // Any change removes what was left.
      await change(store, vault, {rotate: {data: false, meta: false}});
      const {ring} = await unlocked(store, vault);
      expect([ring.keys.data.length, ring.keys.meta.length], call).toEqual([1, 1]);
      expect((await openedBy(store, old)).opened, call).toEqual([]);
      await mendKeys(store, vault.id, {ring});
      const rings = (await keysOf(store, 'keys/rings/')).map((key) => Number(key.slice(-8)));
      expect(Math.min(...rings), call).toBeGreaterThanOrEqual(ring.firstRing!);
      await expectWhole(store, backups, call);
    }
  }
  expect(outcomes).toEqual(new Set([1, 2]));
}, 600_000);
