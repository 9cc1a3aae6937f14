import {expect, test} from 'vitest';
import {waitForCollector} from '../../src/backups/index.ts';
import {fakeClock, fakeHost, manifestKey, manifestOf, manifestsOf, newStore, noise, open} from '../vault/helpers.ts';

const ttlMs = 120_000;
const lost = {code: 'VAULT_LOCKED', message: expect.stringContaining('lost')};

/** A backup of process 1 whose process is stopped: it exists, and none of its timers fires. */
async function stoppedBackup({space, livesBesideIt}: {space: string; livesBesideIt: boolean}) {
  const store = newStore();
  const clock = fakeClock();
  const stopped = await open(store, {clock: {...clock, every: () => () => {}}, host: fakeHost(1, space)});
  const writer = await stopped.writer({purpose: 'operation fullbackup/1', subject: 'collection shop'});
  const recipe = await writer.write([{bytes: noise(5000, 1)}]);
  const other = await open(store, {clock, host: fakeHost(2)});
  const beside = livesBesideIt ? await other.writer({purpose: 'operation fullbackup/2'}) : undefined;
  const vault = await open(store, {clock, host: fakeHost(3)});
  const phases = new Set<string>();
  const clean = async () => {
    const collector = await waitForCollector(
      {
        vault,
        progress: ({phase}) => void phases.add(phase),
        notice: () => {},
        nowMicros: () => clock.wallMs() * 1000,
        signal: AbortSignal.timeout(30_000),
        sleep: async (ms) => {
          await clock.sleep(ms);
          // The one that lives ends when the other one has been silent for more than a TTL.
          if (clock.monotonicMs() > ttlMs + 10_000) await beside?.close();
        },
      },
      'cleanup/3',
    );
    await collector.close();
  };
  return {store, clock, vault, writer, recipe, other, clean, phases};
}

test.each(['boot-1/pids-1', 'boot-2/pids-1'])(
  'a cleanup ends the lease of a stopped process of %s after a TTL, and that process then commits nothing',
  async (space) => {
    const {store, clock, writer, recipe, clean, phases} = await stoppedBackup({space, livesBesideIt: false});
    await clean();
    expect(phases).toEqual(new Set(['Waiting for running backups']));
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(ttlMs);
    expect(clock.monotonicMs()).toBeLessThan(1.1 * ttlMs);
    await expect(writer.commit(manifestKey('one'), manifestOf(recipe))).rejects.toMatchObject(lost);
    expect(await manifestsOf(store)).toEqual([]);
  },
);

test('while a cleanup waits for a stopped process, new backups begin between its tries', async () => {
  const {clock, other, clean} = await stoppedBackup({space: 'boot-2/pids-1', livesBesideIt: false});
  const begun: number[] = [];
  const backups = (async () => {
    while (clock.monotonicMs() < ttlMs / 2) {
      await (await other.writer({purpose: 'backup', subject: 'collection other'})).close();
      begun.push(clock.monotonicMs());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await clean();
  await backups;
  expect(begun.length).toBeGreaterThan(3);
});

test('the lease of a stopped process ends also while another backup goes on beside it', async () => {
  const {clock, clean} = await stoppedBackup({space: 'boot-1/pids-1', livesBesideIt: true});
  await clean();
  expect(clock.monotonicMs()).toBeLessThan(1.2 * ttlMs);
});
