import {join} from 'node:path';
import {expect, test} from 'vitest';
import {openShop} from '../collections/care/pinned-shop.ts';
import {type FaultyStore, faultyStore} from '../helpers/faulty-store.ts';

test.each(['end before', 'end after', 'fail'] as const)(
  'with the fault “%s” at any call of PIN and UNPIN, a reported pin protects, and the next cleanup leaves nothing else',
  async (fault) => {
    let at = 0;
    let faulty: FaultyStore | undefined;
    const shop = await openShop((store) => {
      if (at === 0) return store;
      faulty = faultyStore(store, {at, fault});
      return faulty;
    });
    const [a, b] = await shop.take('full', 'full');
    const snapshot = new Map(shop.memory.objects);
    const outcomes = new Set<string>();
    for (const step of ['pin', 'unpin'] as const) {
      for (let call = 1; ; call++) {
        shop.memory.objects.clear();
        for (const [key, object] of snapshot) shop.memory.objects.set(key, object);
        if (step === 'unpin') await shop.pin(a!);
        at = call;
        const outcome = await (step === 'pin' ? shop.pin(a!) : shop.unpin(a!)).then(
          () => 'done',
          () => 'failed',
        );
        at = 0;
        outcomes.add(`${step} ${outcome}`);
        // The next process decides what became of an unfinished commit; then the state does not change any more.
        await shop.bench.cleanUp('c');
        const left = await shop.bench.backups('c');
        if (outcome === 'done') expect(left).toEqual(step === 'pin' ? [a, b] : [b]);
        else expect([[a, b], [b]]).toContainEqual(left);
        await shop.bench.verify('c');
        await shop.bench.cleanUp('c');
        expect(await shop.bench.backups('c')).toEqual(left);
        expect(shop.pinKeys().filter((key) => !key.includes('/verdict/'))).toHaveLength(left.length - 1);
        for (const name of left) await shop.bench.restore('c', join(shop.folder, `${step}-${call}-${name}.db`), name);
        if (call > faulty!.calls.length) break;
      }
    }
    expect(outcomes).toEqual(new Set(['pin done', 'pin failed', 'unpin done', 'unpin failed']));
  },
);
