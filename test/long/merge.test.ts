import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {BkpError} from '../../src/errors/index.ts';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {expectSame, imageOf} from '../helpers/sqlite-compare.ts';
import fc from '../seeds/fast-check.ts';
import {type Form, merge, restore} from '../sources/layers.ts';
import {Database, expectComesBack, folder, full, increment} from '../sources/sqlite/database.ts';
import {mergedModel, tryModel} from '../sources/sqlite/merge-model.ts';
import {attempt, changeArbitrary, type RandomTable, tableArbitrary} from '../sources/sqlite/random-tables.ts';

const runs = 25 * Number(process.env.BKP_TEST_RUNS ?? 1);

type Plan = {
  table: RandomTable;
  /** The tables of the backup, which are merged. */
  merged: readonly string[];
  before: readonly string[];
  after: readonly string[];
  mode: 'merge' | 'replace';
  form: Form;
};

const planArbitrary: fc.Arbitrary<Plan> = tableArbitrary.chain((table) =>
  fc.record({
    table: fc.constant(table),
    merged: fc.oneof(fc.constant(table.tables), fc.subarray([...table.tables], {minLength: 1})),
    before: fc.array(changeArbitrary(table), {minLength: 3, maxLength: 20}),
    after: fc.array(changeArbitrary(table), {minLength: 0, maxLength: 12}),
    mode: fc.constantFrom('merge', 'replace'),
    form: fc.constantFrom<Form>('rows', undefined, undefined),
  }),
);

/** What a user reads of an error. */
const facts = (error: unknown) => {
  const {code, message, details, next} = error as BkpError;
  return {code, message, details, next};
};

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

async function live({table, merged: tables, before, after, mode, form}: Plan): Promise<'done' | 'refused' | undefined> {
  let database: Database;
  try {
    database = new Database(table.schema);
  } catch {
    // Not every random index fits every random table.
    return undefined;
  }
  const described = await database.source.describe(table.tables);
  if (described.some((one) => one.state !== 'present' || one.fullOnly !== undefined)) return undefined;
  for (const change of before) attempt(database, change);
  const backup = await full(database, tables, undefined, form);
  const then = join(folder(), 'then.db');
  await restore(new SqliteSource(then), backup);
  for (const change of after) attempt(database, change);
  database.exec('DROP TRIGGER IF EXISTS temp.hide_INSERT; DROP TRIGGER IF EXISTS temp.hide_UPDATE');
  const now = imageOf(database.path);
  const others = table.tables.filter((name) => !tables.includes(name));
  const model = mergedModel(database.path, then, {tables, others, mode});
  const counted = await merge(database.source, backup, mode, {dryRun: true}).catch((error: BkpError) => error);
  expect(imageOf(database.path)).toEqual(now);
  try {
    const merged = await merge(database.source, backup, mode);
    expect(merged).toEqual(counted);
    expect(model.hasNullKeys && mode === 'merge').toBe(false);
    expect(tryModel(table.schema, model)).toBeUndefined();
    for (const name of tables) {
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
    expect(facts(counted)).toEqual(facts(error));
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

test('a table that was altered since is replaced exactly, and the next increments are right', async () => {
  let altered = 0;
  await fc.assert(
    fc.asyncProperty(planArbitrary, fc.integer({min: 0, max: 3}), async (plan, how) => {
      if (await alterAndReplace(plan, how)) altered++;
    }),
    {numRuns: Math.ceil(runs / 2)},
  );
  expect(altered).toBeGreaterThan(runs / 8);
}, 600_000);

/** @returns whether the tables could be altered */
async function alterAndReplace({table, merged: tables, before, after, form}: Plan, how: number): Promise<boolean> {
  let database: Database;
  try {
    database = new Database(table.schema);
  } catch {
    return false;
  }
  const described = await database.source.describe(table.tables);
  if (described.some((one) => one.state !== 'present' || one.fullOnly !== undefined)) return false;
  for (const change of before) attempt(database, change);
  let backup = await full(database, tables, undefined, form);
  for (const change of after) attempt(database, change);
  backup = await increment(database, backup, form);
  const then = join(folder(), 'then.db');
  await restore(new SqliteSource(then), backup);
  const fingerprints = backup.schemas.map(({fingerprint}) => fingerprint);
  for (const name of tables) {
    attempt(database, `ALTER TABLE ${name} ADD COLUMN "added, later" TEXT DEFAULT 'x'`);
    if (how > 0) attempt(database, `UPDATE ${name} SET "added, later" = 'y'`);
    if (how > 1) attempt(database, `CREATE INDEX "later on ${name}" ON ${name} ("added, later")`);
    if (how > 2) attempt(database, `DELETE FROM ${name}`);
  }
  for (const change of after) attempt(database, change);
  database.exec('DROP TRIGGER IF EXISTS temp.hide_INSERT; DROP TRIGGER IF EXISTS temp.hide_UPDATE');
  const now = imageOf(database.path);
  const others = table.tables.filter((name) => !tables.includes(name));
  const refusal = tryModel(table.schema, mergedModel(database.path, then, {tables, others, mode: 'replace'}));
  try {
    const counted = await merge(database.source, backup, 'replace', {dryRun: true}).catch((error: unknown) => error);
    expect(imageOf(database.path)).toEqual(now);
    const merged = await merge(database.source, backup, 'replace').catch((error: unknown) => error);
    if (merged instanceof Error) {
      expect(facts(counted)).toEqual(facts(merged));
      expect(merged).toMatchObject({code: 'PRECONDITION', message: expect.stringContaining('would refer to rows')});
      expect(refusal).toBe('foreign key');
      expect(imageOf(database.path)).toEqual(now);
      return false;
    }
    expect(refusal).toBeUndefined();
    expect(merged).toEqual(counted);
    expectSame(database.path, then, tables);
    for (const change of before) attempt(database, change);
    const next = await increment(database, backup, form);
    expect(next.schemas.map(({fingerprint}) => fingerprint)).toEqual(fingerprints);
    await expectComesBack(database, next);
    return true;
  } finally {
    database.close();
  }
}
