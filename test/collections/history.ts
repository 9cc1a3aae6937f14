import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect} from 'vitest';
import {type BackupName, createCollection, type FoldLimits} from '../../src/collections/index.ts';
import {openSource} from '../../src/sources/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {type DatabaseImage, imageOf} from '../helpers/sqlite-compare.ts';
import fc from '../seeds/fast-check.ts';
import {changeArbitrary, type RandomTable, tableArbitrary} from '../sources/sqlite/random-tables.ts';

/** Restores a backup of the collection `c` into a new database. */
export type Restore = (cluster: string, backup: BackupName, target: string) => Promise<void>;

/**
 * All of bkp except its processes: random tables, changes and backups into a cluster directory. At the end,
 * every backup is restored into a new database and equals the database at the time of the backup. Some backups take all
 * rows as rows, the others as the source chooses.
 *
 * @param restore default: bkp's own
 * @throws what fast-check says, with the seed and the history
 */
export async function tryHistories(runs: number, restore?: Restore): Promise<void> {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const folder = mkdtempSync(join(tmpdir(), 'bkp-history-'));
      try {
        await live(folder, plan, restore);
      } finally {
        rmSync(folder, {recursive: true, force: true});
      }
    }),
    {
      numRuns: runs,
      // Less than the limits of the tests, which say no seed. A slow machine alone does not reach it.
      interruptAfterTimeLimit: 900_000,
      markInterruptAsFailure: true,
    },
  );
}

type Step =
  | {change: string}
  | {backup: 'full' | 'incremental'; form?: 'rows' | undefined}
  | 'vacuum'
  | 'crash and restore';
/** `fold`: when deltas are merged; absent: never. A merged chain restores the same as one that is not. */
type Plan = {table: RandomTable; fold: FoldLimits | undefined; steps: readonly Step[]};

const never: FoldLimits = {deltas: 1000, growth: 0, basePart: 1, leastKeys: 1e9};

const foldArbitrary: fc.Arbitrary<FoldLimits> = fc.record({
  deltas: fc.nat(2),
  growth: fc.constantFrom(0.5, 2, 1e9),
  basePart: fc.constantFrom(0.25, 1),
  leastKeys: fc.constantFrom(2, 5, 1000),
});

/** A table that changes independently of the random one: one snapshot must contain both. */
const beside = 'CREATE TABLE beside (id INTEGER PRIMARY KEY, at INTEGER)';
const both = ['t', 'beside'];

const planArbitrary: fc.Arbitrary<Plan> = tableArbitrary.chain((table) =>
  fc.record({
    table: fc.constant(table),
    fold: fc.option(foldArbitrary, {nil: undefined, freq: 4}),
    steps: fc.array(
      fc.oneof(
        {weight: 20, arbitrary: changeArbitrary(table).map((change): Step => ({change}))},
        {
          weight: 4,
          arbitrary: fc.record({
            backup: fc.constantFrom('full', 'incremental', 'incremental'),
            form: fc.constantFrom('rows', undefined, undefined),
          }),
        },
        {weight: 1, arbitrary: fc.constantFrom<Step>('vacuum', 'crash and restore')},
      ),
      {minLength: 10, maxLength: 60},
    ),
  }),
);

async function live(folder: string, {table, fold = never, steps}: Plan, restore?: Restore): Promise<void> {
  const database = join(folder, 'app.db');
  const cluster = join(folder, 'cluster');
  const bench = inProcess({cluster, database});
  if (!(await begin(database, table))) return;
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'tables', tables: both},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  const taken = new Map<BackupName, DatabaseImage>();
  const backup = async (type: 'full' | 'incremental', form?: 'rows' | undefined) => {
    const name = await bench.backup('c', taken.size === 0 ? 'full' : type, {form, fold});
    taken.set(name, imageOf(database, both));
  };
  const last: Step = {backup: 'incremental'};
  for (const step of [...steps, last]) {
    if (typeof step === 'object' && 'backup' in step) await backup(step.backup, step.form);
    else if (typeof step === 'object') attempt(database, `${step.change}; INSERT INTO beside (at) VALUES (1)`);
    else if (step === 'vacuum') attempt(database, 'VACUUM');
    else if (step === 'crash and restore') {
      if (taken.size === 0) continue;
      // Another table may refer to `t`, which then cannot be dropped while it has rows.
      attempt(database, 'PRAGMA foreign_keys = OFF; DROP TABLE t; DROP TABLE beside');
      await bench.restore('c', database);
      expect(imageOf(database, both)).toEqual([...taken.values()].at(-1));
    }
  }
  await bench.verify('c');
  for (const [name, image] of taken) {
    const target = join(folder, `${name}.db`);
    if (restore === undefined) await bench.restore('c', target, name);
    else await restore(cluster, name, target);
    expect(imageOf(target)).toEqual(image);
  }
}

/** @returns false if this random table is not possible, or cannot have increments */
async function begin(database: string, table: RandomTable): Promise<boolean> {
  const db = new DatabaseSync(database, {enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${table.schema}; ${beside}`);
  } catch {
    return false;
  } finally {
    db.close();
  }
  const source = await openSource({scheme: 'sqlite', path: database});
  return (await source.describe(both)).every((facts) => facts.state === 'present' && facts.fullOnly === undefined);
}

/** Many random statements violate a constraint. The state that they leave is as good as any other. */
function attempt(database: string, sql: string): void {
  const db = new DatabaseSync(database, {enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(sql);
  } catch {
    // See above.
  } finally {
    db.close();
  }
}
