import {expect, onTestFinished, test} from 'vitest';
import {type Backup, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';
import {faultsOf, ledgerSchema, ledgerTables, Writers} from './writers.ts';

const cluster = clusterOfFile();
const owner = 'collection-1';
const seconds = Number(process.env.BKP_WRITERS_SECONDS ?? 30);

test('no increment loses a change of concurrent transactions, and each restores to a consistent moment', async () => {
  const seed = Number(process.env.BKP_SEED ?? Date.now() % 1e6);
  console.log(`seed ${seed}: BKP_SEED=${seed} repeats the writers`);
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(ledgerSchema);
  const writers = new Writers(cluster(), database.name, {count: 8, seed});
  onTestFinished(() => writers.stop());
  const tables = ledgerTables.map((table) => `public.${table}`);
  let backup: Backup = await takeFull(database.source, {tables, track: {owner}});
  await database.source.acknowledge(owner, backup.mark!);
  const end = Date.now() + seconds * 1000;
  let increments = 0;
  const check = async () => {
    const target = await cluster().create();
    await restore(target.source, backup);
    const client = await cluster().client(target.name);
    expect(await faultsOf(client), `increment ${increments}, seed ${seed}`).toEqual([]);
    await client.end();
    return target;
  };
  await (await check()).close();
  while (Date.now() < end) {
    backup = await takeIncrement(database.source, owner, backup);
    await database.source.acknowledge(owner, backup.mark!);
    increments += 1;
    if (increments % 3 === 0) await (await check()).close();
  }
  await writers.stop();
  expect(writers.errors).toEqual([]);
  backup = await takeIncrement(database.source, owner, backup);
  const restored = await check();
  for (const table of ledgerTables) expect(await restored.rows(table)).toEqual(await database.rows(table));
  await restored.close();
  const client = await cluster().client(database.name);
  expect(await faultsOf(client)).toEqual([]);
  await client.query(`DELETE FROM history WHERE (id, turn) = (SELECT id, turn FROM history WHERE turn > 1 LIMIT 1)`);
  expect(await faultsOf(client), 'the check notices a lost change').not.toEqual([]);
  await client.end();
  console.log(`${increments} increments, ${writers.transactions} transactions`);
});
