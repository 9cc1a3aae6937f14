import {join} from 'node:path';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import fc from '../../seeds/fast-check.ts';
import {type Backup, type Form, restore, takeFull} from '../layers.ts';
import {Database, folder, full, increment} from './database.ts';
import {attempt, changeArbitrary, tableArbitrary} from './random-tables.ts';

// Random tables whose schema is edited after rows exist, so that the schema would refuse some rows. Each backup
// restores them unchanged, into a new file and into an existing database.

const runs = 15 * Number(process.env.BKP_TEST_RUNS ?? 1);

const laterTypes = [
  'INTEGER',
  'TEXT',
  'REAL',
  'NUMERIC NOT NULL',
  'BLOB NOT NULL ON CONFLICT IGNORE',
  `TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'z'`,
  'INTEGER CHECK (a > 0)',
  `TEXT CHECK (json_extract(b, '$.x') IS NULL)`,
  'COLLATE NOCASE',
  '',
];

const planArbitrary = tableArbitrary.chain((table) => {
  const changes = fc.array(changeArbitrary(table), {minLength: 3, maxLength: 15});
  return fc.record({
    table: fc.constant(table),
    form: fc.constantFrom<Form>('rows', undefined, undefined),
    before: changes,
    types: fc.tuple(...[1, 2, 3].map(() => fc.constantFrom(...laterTypes))),
    generated: fc.constantFrom('AS (b || a)', 'AS (b || a) STORED', undefined),
    unique: fc.boolean(),
    after: changes,
    later: changes,
  });
});

/** Other types for the columns a, b and c, another expression for a stored column, one more UNIQUE. */
function edited(sql: string, [a, b, c]: readonly string[], generated: string | undefined): string {
  return sql
    .replace(
      /(, a )(.*?)( REFERENCES t .*?)?(, b )(.*?)(, c )(.*?)(?=, g |, UNIQUE|, PRIMARY KEY|\)|\n)/s,
      (_, beforeA, _a, reference, beforeB, _b, beforeC) =>
        `${beforeA}${a}${reference ?? ''}${beforeB}${b}${beforeC}${c}`,
    )
    .replace(/, g (.*?)AS \(lower\(a\)\) STORED/, (whole, type) =>
      generated?.endsWith('STORED') ? `, g ${type}${generated}` : whole,
    );
}

function edit(database: Database, types: readonly string[], generated: string | undefined, unique: boolean): void {
  const {db} = database;
  const sql = String(database.value(`SELECT sql FROM sqlite_schema WHERE name = 't'`));
  db.enableDefensive(false);
  db.exec('PRAGMA writable_schema = ON');
  const put = db.prepare('UPDATE sqlite_schema SET sql = ? WHERE name = ?');
  put.run(edited(sql, types, generated), 't');
  if (unique) put.run('CREATE UNIQUE INDEX plain ON t (b, c)', 'plain');
  db.exec('PRAGMA writable_schema = RESET');
  // Otherwise an index would hold values that a search by the column's new type does not find.
  attempt(database, 'REINDEX t');
}

async function expectBack(database: Database, backup: Backup): Promise<void> {
  const tables = backup.schemas.map(({name}) => name);
  const {integrity: own, ...wanted} = imageOf(database.path, tables);
  for (const path of [join(folder(), 'new.db'), new Database('CREATE TABLE other (x)').path]) {
    await restore(new SqliteSource(path), backup);
    const {integrity, ...actual} = imageOf(path, tables);
    expect(actual).toEqual(wanted);
    // An index that does not match its rows in the database itself is restored as it is there, or built from the rows.
    expect(faultsIn(integrity).filter((fault) => !faultsIn(own).includes(fault))).toEqual([]);
  }
}

/** Without the numbers of rows. */
const faultsIn = (integrity: readonly string[]) =>
  integrity
    .filter((line) => /missing|wrong #|out of order|malformed/.test(line))
    .map((line) => line.replace(/\brow \d+/, 'row'));

test('whatever an edit of the schema leaves in a table, each backup restores it unchanged', async () => {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async ({table, form, before, types, generated, unique, after, later}) => {
      let database: Database;
      try {
        database = new Database(`PRAGMA synchronous = OFF; ${table.schema}`);
      } catch {
        return;
      }
      for (const change of before) attempt(database, change);
      try {
        edit(database, types, generated, unique);
      } catch {
        // Not every random edit gives a valid schema.
        return;
      }
      for (const change of after) attempt(database, change);
      const facts = await database.source.describe(table.tables);
      if (facts.some(({state}) => state !== 'present')) return;
      if (facts.some((fact) => fact.state === 'present' && fact.fullOnly !== undefined)) {
        await expectBack(database, await takeFull(database.source, {tables: table.tables, form}));
        return;
      }
      const base = await full(database, table.tables, undefined, form);
      await expectBack(database, base);
      for (const change of later) attempt(database, change);
      await expectBack(database, await increment(database, base, form));
      database.close();
    }),
    {numRuns: runs},
  );
}, 600_000);
