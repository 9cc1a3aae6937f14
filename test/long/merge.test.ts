import {join} from 'node:path';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {BkpError} from '../../src/errors/index.ts';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {type Form, merge, restore} from '../sources/layers.ts';
import {Database, expectComesBack, folder, full, increment} from '../sources/sqlite/database.ts';
import {mergedModel, tryModel} from '../sources/sqlite/merge-model.ts';
import {changeArbitrary, type RandomTable, tableArbitrary} from '../sources/sqlite/random-tables.ts';

const runs = 25 * Number(process.env.BKP_TEST_RUNS ?? 1);

type Plan = {
  table: RandomTable;
  before: readonly string[];
  after: readonly string[];
  mode: 'merge' | 'replace';
  form: Form;
};

const planArbitrary: fc.Arbitrary<Plan> = tableArbitrary.chain((table) =>
  fc.record({
    table: fc.constant(table),
    before: fc.array(changeArbitrary(table), {minLength: 3, maxLength: 20}),
    after: fc.array(changeArbitrary(table), {minLength: 0, maxLength: 12}),
    mode: fc.constantFrom('merge', 'replace'),
    form: fc.constantFrom<Form>('rows', undefined, undefined),
  }),
);

function attempt(database: Database, sql: string): void {
  try {
    database.exec(sql);
  } catch {
    if (database.db.isTransaction) database.exec('ROLLBACK');
    database.exec('DROP TABLE IF EXISTS temp.kept');
  }
}

test('a merged and a replaced table equal the model, whatever happened since the backup', async () => {
  const ends = {done: 0, refused: 0};
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const end = await live(plan);
      if (end !== undefined) ends[end]++;
    }),
    {numRuns: runs},
  );
  expect(ends.done).toBeGreaterThan(ends.refused);
}, 600_000);

async function live({table, before, after, mode, form}: Plan): Promise<'done' | 'refused' | undefined> {
  let database: Database;
  try {
    database = new Database(table.schema);
  } catch {
    // Not every random index fits every random table.
    return undefined;
  }
  const facts = await database.source.describe(table.tables);
  if (facts.some((one) => one.state !== 'present' || one.fullOnly !== undefined)) return undefined;
  for (const change of before) attempt(database, change);
  const backup = await full(database, table.tables, undefined, form);
  const then = join(folder(), 'then.db');
  await restore(new SqliteSource(then), backup);
  for (const change of after) attempt(database, change);
  database.exec('DROP TRIGGER IF EXISTS temp.hide_INSERT; DROP TRIGGER IF EXISTS temp.hide_UPDATE');
  const now = imageOf(database.path);
  const model = mergedModel(database.path, then, table.tables, mode);
  const counted = await merge(database.source, backup, mode, {dryRun: true}).catch((error: BkpError) => error);
  expect(imageOf(database.path)).toEqual(now);
  try {
    const merged = await merge(database.source, backup, mode);
    expect(merged).toEqual(counted);
    expect(model.hasNullKeys && mode === 'merge').toBe(false);
    for (const name of table.tables) {
      const counts = merged.find((one) => one.name === name)!;
      expect(counts).toEqual({name, ...model.counts(name)});
    }
    expect(model.rowsNow()).toEqual(model.expected);
    expect(imageOf(database.path).schema).toEqual(now.schema);
    // Change tracking saw what the merge did.
    await expectComesBack(database, await increment(database, backup, form));
    return 'done';
  } catch (error) {
    const {code, message} = error as BkpError;
    if (code !== 'PRECONDITION') throw error;
    expect(imageOf(database.path)).toEqual(now);
    if (/NULL in the primary key/.test(message)) expect(model.hasNullKeys).toBe(true);
    else {
      const refusal = tryModel(table.schema, model);
      expect({message, refusal}).toEqual({
        message,
        refusal: /cannot come back/.test(message) ? 'constraint' : 'foreign key',
      });
    }
    return 'refused';
  } finally {
    database.close();
  }
}
