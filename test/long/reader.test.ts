import {expect, test} from 'vitest';
import {tryHistories} from '../collections/history.ts';
import {writeSealedCopy} from '../fixtures/sealed-copy.ts';
import {kitCode} from '../fixtures/secrets.ts';
import {read, readWith} from '../reader/run.ts';

const runs = 8 * Number(process.env.BKP_TEST_RUNS ?? 1);

test('bkp-reader restores every backup of a random history exactly', async () => {
  await tryHistories(runs, async (cluster, backup, target) => {
    const run = read(cluster, `c/${backup}`, '--to', target);
    expect(run, run.stderr).toMatchObject({status: 0});
  });
}, 1_000_000);

test('bkp-reader restores every backup of a random history exactly if its vault is encrypted', async () => {
  await tryHistories(runs, async (cluster, backup, target) => {
    const sealed = `${target}.sealed`;
    await writeSealedCopy(cluster, sealed);
    const run = readWith({BKP_PASSWORD: kitCode}, sealed, `c/${backup}`, '--to', target);
    expect(run, run.stderr).toMatchObject({status: 0});
  });
}, 1_000_000);
