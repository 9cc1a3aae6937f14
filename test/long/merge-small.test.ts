import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {readRemovals} from '../../src/vault/indexes/removals.ts';
import {faultyStore, ProcessEnded} from '../helpers/faulty-store.ts';
import {backup, copyOf, fakeHost, findings, keysOf, noise, open} from '../vault/helpers.ts';
import {count, expectAllReadable, make, merge} from '../vault/write/small-packs.ts';

for (const fault of ['end before', 'end after', 'fail'] as const) {
  test(`a merge that meets "${fault}" at any store call loses nothing, and the next one ends it`, async () => {
    const {store, backups} = await make();
    const probe = faultyStore(await copyOf(store), {at: 0, fault});
    const whole = await open(probe);
    await merge(whole);
    const {length} = probe.calls;
    // The reads of 70 packs are alike.
    const isRead = (at: number) => probe.calls[at - 1]!.startsWith('get packs/') && at % 20 !== 0;
    for (let at = 1; at <= length; at++) {
      if (isRead(at)) continue;
      const copy = await copyOf(store);
      const host = fakeHost(1);
      const vault = await open(faultyStore(copy, {at, fault}), {host}).catch(() => undefined);
      const merged = vault && merge(vault);
      await merged?.catch((error: unknown) => {
        if (!(error instanceof ProcessEnded || error instanceof BkpError)) throw error;
      });
      await expectAllReadable(copy, backups);
      const next = fakeHost(2);
      next.dead.add(1);
      const again = await open(copy, {host: next});
      await backup(again, 'next', [{bytes: noise(3000, 99)}]);
      await merge(again);
      const {packs} = await count(copy);
      expect(packs, `${fault} at ${at}: ${probe.calls[at - 1]}`).toBeLessThan(64);
      // A note whose packs are gone keeps nothing from being relied on; the next merge or cleanup removes it.
      const removals = await readRemovals(copy, await keysOf(copy, 'removals/'));
      const left = [...removals!.packs.values()].flat().map((pack) => `packs/${pack.slice(0, 2)}/${pack}`);
      expect((await keysOf(copy, 'packs/')).filter((key) => left.includes(key))).toEqual([]);
      await expectAllReadable(copy, backups);
      expect(at % 10 === 0 ? await findings(again) : []).toEqual([]);
      again.close();
    }
  }, 300_000);
}
