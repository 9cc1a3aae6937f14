import {expect, onTestFinished, test, vi} from 'vitest';
import {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {seed} from '../../seeds/seed.ts';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {compared, retried} from './increments.ts';
import {faultsOf, ledgerSchema, ledgerTables, replaceBatch, type WriterOptions, Writers} from './writers.ts';

const cluster = clusterOfFile();
const owner = 'collection-1';
const tables = ledgerTables.map((table) => `public.${table}`);
const seconds = Number(process.env.BKP_WRITERS_SECONDS ?? 60);
/** A mistake that is not noticed in this time is none that the test can find. */
const mistakeSeconds = Math.max(seconds, 240);

async function written(odds: WriterOptions['odds'] = {}) {
  console.log(`seed ${seed}: BKP_TEST_SEED=${seed} repeats the writers`);
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`${ledgerSchema} ${replaceBatch(3)}`);
  const writers = new Writers(cluster(), database.name, {count: 8, seed, odds});
  onTestFinished(() => writers.stop());
  const backup = await retried(() => takeFull(database.source, {tables, track: {owner}}));
  await database.source.acknowledge(owner, backup.mark!);
  return {seed, database, writers, backup};
}

test('no increment loses a change of concurrent transactions, and each restores to a consistent moment', async () => {
  const {seed, database, writers, backup: full} = await written();
  let backup = full;
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
    const taken = await compared(database.source, backup);
    increments += 1;
    expect(taken.lost, `increment ${increments}, seed ${seed}`).toEqual([]);
    backup = taken.backup;
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
  console.log(`${increments} increments, ${writers.transactions} transactions, ${JSON.stringify(writers.done)}`);
});

/** A method that sends a statement. */
type Sent = (this: Connection, sql: string, ...more: unknown[]) => Promise<never>;
type Mistake = {
  odds: WriterOptions['odds'];
  pattern: RegExp;
  instead: string;
  /** Sent before the statement; then a writer's transaction ends that has the worst moment. */
  first?: string;
  meanwhile?: string;
};

/** What looks right in tracking and is not: other statements than those that bkp sends. */
const mistakes: Readonly<Record<string, Mistake>> = {
  'changes are those after a position in the log': {
    odds: {},
    pattern: /x >= pg_catalog\.pg_snapshot_xmin\('[^']+'\) AND NOT pg_catalog\.pg_visible_in_snapshot\(x, ('[^']+')\)/u,
    instead: 'x >= pg_catalog.pg_snapshot_xmax($1)',
  },
  'the tables are locked after the snapshot was taken': {
    // A TRUNCATE that both sees makes the increment take all rows.
    odds: {truncate: 0},
    pattern: /^LOCK TABLE .* IN ACCESS SHARE MODE$/u,
    instead: '$&',
    first: 'SELECT 1',
    meanwhile: replaceBatch(2),
  },
  'only statement triggers fire': {
    odds: {triggers: 0},
    pattern: /ENABLE REPLICA TRIGGER "~bkp_r"/u,
    instead: 'DISABLE TRIGGER "~bkp_r"',
  },
  'triggers that someone changed are not made again': {
    odds: {replica: 0.3},
    pattern: /SELECT made = \$2 AND seen = .* FROM _bkp\.tracked/su,
    instead: 'SELECT made = $$2 FROM _bkp.tracked',
  },
};

test.each(Object.entries(mistakes))('the same test fails when %s', async (_, mistake) => {
  const {odds, pattern, instead, first, meanwhile} = mistake;
  let tracked: TestDatabase | undefined;
  let mistaken = 0;
  const mutated = (sql: string) => {
    const changed = sql.replaceAll(new RegExp(pattern, `${pattern.flags}g`), instead);
    if (pattern.test(sql)) mistaken += 1;
    return changed;
  };
  for (const method of ['rows', 'run', 'copyOut', 'copyIn'] as const) {
    const original = Connection.prototype[method] as Sent;
    const replaced: Sent = async function (this: Connection, sql, ...more) {
      if (tracked !== undefined && first !== undefined && pattern.test(sql)) {
        await this.value(first);
        await tracked.exec(`BEGIN; ${meanwhile}; COMMIT`);
      }
      return original.call(this, mutated(sql), ...more);
    };
    vi.spyOn(Connection.prototype, method).mockImplementation(replaced);
  }
  onTestFinished(() => void vi.restoreAllMocks());
  const {database, writers, backup: full} = await written(odds);
  tracked = database;
  let backup = full;
  let lost: readonly string[] = [];
  const end = Date.now() + mistakeSeconds * 1000;
  while (lost.length === 0 && Date.now() < end) ({backup, lost} = await compared(database.source, backup));
  await writers.stop();
  expect(mistaken, 'statements that the mistake changed').toBeGreaterThan(0);
  expect(lost).not.toEqual([]);
});
