import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import type {BackupName} from '../../src/collections/index.ts';
import {collectDatabase, inProcess} from '../helpers/in-process.ts';
import {type DatabaseImage, imageOf} from '../helpers/sqlite-compare.ts';
import fc from '../seeds/fast-check.ts';
import {changeArbitrary, type RandomTable, tableArbitrary} from '../sources/sqlite/random-tables.ts';

// One table of a random history, as of any backup, under any name, beside the living tables and in a new file: its rows
// are those of that time, its constraints hold, and no other table changes.

const runs = 12 * Number(process.env.BKP_TEST_RUNS ?? 1);

const beside = `CREATE TABLE beside (id INTEGER PRIMARY KEY, t REFERENCES t, at INTEGER);
  CREATE INDEX t_of_beside ON beside (t)`;

/** Names that need quotes, resemble others, or are words of SQL. */
const newName = fc.oneof(
  fc.constantFrom(
    't2',
    'T ',
    'order',
    'a"b',
    "it's",
    '`x`',
    '[y]',
    'main.z',
    'ünïcödé',
    '日本',
    ' ',
    '-- c',
    'beside_',
    'x'.repeat(300),
  ),
  fc
    .string({unit: 'grapheme', minLength: 1, maxLength: 12})
    .filter((name) => name.isWellFormed() && !name.includes('\0')),
);

type Plan = {table: RandomTable; changes: readonly (string | 'backup')[]; name: string; pick: number};
const planArbitrary: fc.Arbitrary<Plan> = tableArbitrary.chain((table) =>
  fc.record({
    table: fc.constant(table),
    changes: fc.array(fc.oneof({weight: 6, arbitrary: changeArbitrary(table)}, fc.constant('backup')), {
      minLength: 4,
      maxLength: 40,
    }),
    name: newName,
    pick: fc.nat(),
  }),
);

test('a table of any backup comes back under any name, and touches no other', async () => {
  let restored = 0;
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const folder = mkdtempSync(join(tmpdir(), 'bkp-renamed-'));
      try {
        restored += (await live(folder, plan)) ? 1 : 0;
      } finally {
        rmSync(folder, {recursive: true, force: true});
      }
    }),
    {numRuns: runs},
  );
  expect(restored).toBeGreaterThan(0);
}, 1_000_000);

async function live(folder: string, {table, changes, name, pick}: Plan): Promise<boolean> {
  const database = join(folder, 'app.db');
  if (!attempt(database, `${table.schema}; ${beside}`)) return false;
  const bench = inProcess({cluster: join(folder, 'cluster'), database});
  await collectDatabase(bench);
  const taken: [BackupName, DatabaseImage][] = [];
  for (const change of ['backup', ...changes, 'backup']) {
    if (change === 'backup') {
      taken.push([await bench.backup('c', taken.length === 0 ? 'full' : 'incremental'), imageOf(database)]);
    } else attempt(database, `${change}; INSERT INTO beside (at) VALUES (1)`);
  }
  const [backup, then] = taken[pick % taken.length]!;
  const now = imageOf(database);
  const wanted = name.startsWith('main.') ? name.slice(5) : name;
  await bench.restore('c', database, backup, [{name: 't', as: name}]);
  const after = imageOf(database);
  expect(after.tables[wanted], 'beside').toEqual(then.tables.t);
  const {[wanted]: _, ...others} = after.tables;
  expect(others).toEqual(now.tables);
  expect(after.schema).toEqual(expect.arrayContaining([...now.schema]));
  expect(after.integrity).toEqual(now.integrity);
  const target = join(folder, 'new.db');
  await bench.restore('c', target, backup, [{name: 't', as: name}]);
  const alone = imageOf(target);
  expect(Object.keys(alone.tables)).toEqual([wanted]);
  expect(alone.tables[wanted]).toEqual(then.tables.t);
  expect(alone.sequence.map((line) => line.slice(wanted.length + 1))).toEqual(
    then.sequence.filter((line) => line.startsWith('t=')).map((line) => line.slice(2)),
  );
  const statements = ({schema}: DatabaseImage, of: string) =>
    schema.filter((line) => line.includes(` ON ${of}: `)).length;
  expect(statements(alone, wanted)).toBe(statements(then, 't'));
  return true;
}

/** @returns false if SQLite refuses the statements, which then have no effect from there on */
function attempt(database: string, sql: string): boolean {
  const db = new DatabaseSync(database, {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(`PRAGMA synchronous = OFF; ${sql}`);
    return true;
  } catch {
    return false;
  } finally {
    db.close();
  }
}
