import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {pathToFileURL} from 'node:url';
import {expect, test} from 'vitest';
import {
  type BackupName,
  createCollection,
  createScratch,
  diffTables,
  liveAfter,
  loadTables,
  openBackup,
  requireTable,
  segmentsFor,
  storedAfter,
} from '../../src/collections/index.ts';
import {backupTablesIn} from '../../src/query/backup-tables.ts';
import {openSource} from '../../src/sources/index.ts';
import type {Vault} from '../../src/vault/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {bits} from '../helpers/sqlite-compare.ts';
import fc from '../seeds/fast-check.ts';
import {changeArbitrary, type RandomTable, tableArbitrary} from '../sources/sqlite/random-tables.ts';

// Random tables with several segments, random changes, backups. A SELECT on a backup has the result that it has on a
// copy of the database of that time; the difference of two backups is the difference of their copies.

const runs = 12 * Number(process.env.BKP_TEST_RUNS ?? 1);

type Step = {change: string} | {backup: 'full' | 'incremental'; form?: 'rows' | undefined} | 'vacuum';
type Plan = {table: RandomTable; rows: number; steps: readonly Step[]; wheres: readonly string[]};

const literal = fc.oneof(
  fc.integer({min: -2, max: 900}).map(String),
  fc.integer({min: 0, max: 900}).map((n) => `'${n}'`),
  // Where segments end.
  fc.constantFrom(63, 64, 65, 127, 128, 129, 255, 256, 257, 384, 385, 511, 512, 513, 640, 641).map(String),
  fc.constantFrom(`'a'`, `'A'`, `'a '`, `''`, `'K5'`, `'k700'`, '9223372036854775807', '-9223372036854775808'),
);
const comparison = fc
  .tuple(fc.constantFrom('k', 'K', 't.k', 'rowid', 'm', 'a'), fc.constantFrom('=', '<', '<=', '>', '>='), literal)
  .map(([column, sign, value]) => `${column} ${sign} ${value}`);
const where = fc
  .array(
    fc.oneof(
      {weight: 4, arbitrary: comparison},
      {weight: 1, arbitrary: fc.tuple(literal, literal).map(([from, to]) => `k BETWEEN ${from} AND ${to}`)},
      {weight: 1, arbitrary: fc.array(literal, {minLength: 1, maxLength: 4}).map((list) => `k IN (${list})`)},
      {weight: 1, arbitrary: fc.constantFrom('b IS NULL', 'NOT k = 5', 'k IS NOT 7')},
    ),
    {minLength: 1, maxLength: 3},
  )
  .map((terms) => terms.join(' AND '));

/** A change of one row, anywhere. */
const single = fc
  .tuple(fc.integer({min: 1, max: 700}), fc.constantFrom('UPDATE t SET a = ifnull(a, 0) + 1', 'DELETE FROM t'))
  .map(([k, change]): Step => ({change: `${change} WHERE k IN (${k}, 'k${k}')`}));

/** Half of the tables have a key by which segments of records are found. */
const anyTable = fc.oneof(
  tableArbitrary,
  tableArbitrary.filter(({schema}) => schema.includes('k INTEGER PRIMARY KEY')),
);

const planArbitrary: fc.Arbitrary<Plan> = anyTable.chain((table) =>
  fc.record({
    table: fc.constant(table),
    rows: fc.constantFrom(0, 700, 700),
    wheres: fc.array(where, {minLength: 6, maxLength: 12}),
    steps: fc.array(
      fc.oneof(
        {weight: 5, arbitrary: changeArbitrary(table).map((change): Step => ({change}))},
        {weight: 5, arbitrary: single},
        {
          weight: 3,
          arbitrary: fc.record({
            backup: fc.constantFrom('full', 'incremental', 'incremental', 'incremental'),
            form: fc.constantFrom('rows', undefined, undefined),
          }),
        },
        {weight: 1, arbitrary: fc.constant<Step>('vacuum')},
      ),
      {minLength: 8, maxLength: 25},
    ),
  }),
);

test('what is read of a backup is what its database had, and differences are those of the databases', async () => {
  await fc.assert(
    fc.asyncProperty(planArbitrary, async (plan) => {
      const folder = mkdtempSync(join(tmpdir(), 'bkp-looking-'));
      try {
        await live(folder, plan);
      } finally {
        rmSync(folder, {recursive: true, force: true});
      }
    }),
    {numRuns: runs},
  );
}, 3_000_000);

async function live(folder: string, {table, rows, steps, wheres}: Plan): Promise<void> {
  const database = join(folder, 'app.db');
  const bench = inProcess({cluster: join(folder, 'cluster'), database});
  if (!(await begin(database, table, rows))) return;
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'tables', tables: ['t']},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
  const copies = new Map<BackupName | undefined, string>();
  const copy = (name: BackupName | undefined) => {
    attempt(database, 'PRAGMA wal_checkpoint(TRUNCATE)');
    copies.set(name, join(folder, `copy-${copies.size}.db`));
    copyFileSync(database, copies.get(name)!);
  };
  const first: Step = {backup: 'full', form: steps.length % 2 === 0 ? 'rows' : undefined};
  for (const step of [first, ...steps]) {
    if (step === 'vacuum') attempt(database, 'VACUUM');
    else if ('change' in step) attempt(database, step.change);
    else copy(await bench.backup('c', copies.size === 0 ? 'full' : step.backup, {form: step.form}));
  }
  copy(undefined);
  let files = 0;
  const file = () => join(folder, `scratch-${files++}.db`);
  await bench.vault(async (vault) => {
    const names = [...copies.keys()];
    for (const [at, point] of names.entries()) {
      if (point === undefined) continue;
      for (const text of wheres.slice(at % 3).filter((_, n) => n % 3 === 0)) {
        const found = await selected(vault, {point, where: text, path: file()});
        expect(found, text).toEqual(rowsOf(copies.get(point)!, text));
      }
      const to = names[(at * 7 + wheres.length) % names.length];
      const found = await difference(vault, {from: point, to, database, file});
      expect(found, `${point} to ${to}`).toEqual(model(copies.get(point)!, copies.get(to)!));
    }
  });
}

async function begin(database: string, table: RandomTable, rows: number): Promise<boolean> {
  const db = new DatabaseSync(database, {enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${table.schema}`);
    const values = table.columns.map((column) =>
      column === 'k'
        ? `CASE i % 7 WHEN 0 THEN i WHEN 1 THEN 'k' || i ` + 'ELSE i END'
        : column === 'c'
          ? `printf('%05000d', i)`
          : 'i',
    );
    const keys = /k INTEGER PRIMARY KEY/.test(table.schema)
      ? values.map((value, at) => (at === 0 ? 'i' : value))
      : values;
    db.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       INSERT OR IGNORE INTO t (${table.columns.join(', ')}) SELECT ${keys.join(', ')} FROM n WHERE ${rows} > 0`,
    );
  } catch {
    return false;
  } finally {
    db.close();
  }
  const source = await openSource({scheme: 'sqlite', path: database});
  return (await source.describe(['t'])).every((facts) => facts.state === 'present' && facts.fullOnly === undefined);
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

const never = new AbortController().signal;
const meter = {bytes: () => {}, item: () => {}, state: () => ({phase: '', bytesDone: 0, itemsDone: 0})};

/** The statement's rows, from what bkp loads for it. */
async function selected(
  vault: Vault,
  {point, where, path}: {point: BackupName; where: string; path: string},
): Promise<readonly string[] | string> {
  const {conditions} = backupTablesIn(`SELECT * FROM backup('c').t WHERE ${where}`)[0]!;
  const opened = await openBackup(vault, {collection: 'c', point});
  const table = requireTable(opened, 'T');
  const scratch = await createScratch(opened, [table], {path});
  try {
    const segments = await segmentsFor(opened, {scratch, table, signal: never}, [conditions]);
    await loadTables(opened, {scratch, meter, signal: never}, [{table, segments}]);
    return rowsOf(path, where);
  } finally {
    await scratch.discard();
  }
}

/** Rows bit by bit, or SQLite's error. The rowid of a table with another key is not compared. */
function rowsOf(path: string, where: string): readonly string[] | string {
  const db = open(path);
  try {
    const columns = db
      .prepare(`SELECT name FROM pragma_table_xinfo('t')`)
      .all()
      .map(({name}) => `"${name}"`);
    const isRowid = db.prepare(`SELECT count(*) AS n FROM pragma_index_list('t') WHERE origin = 'pk'`).get()!.n === 0;
    if (!isRowid && /rowid/.test(where)) return [];
    const statement = db.prepare(`SELECT ${columns.map(bits).join(` || '|' || `)} AS row FROM t WHERE ${where}`);
    return statement
      .all()
      .map(({row}) => String(row))
      .sort();
  } catch (error) {
    return (error as Error).message;
  } finally {
    db.close();
  }
}

const open = (path: string) => new DatabaseSync(pathToFileURL(path), {enableDoubleQuotedStringLiterals: true});

type Counts = {added: number; changed: number; deleted: number};

async function difference(
  vault: Vault,
  {from, to, database, file}: {from: string; to: string | undefined; database: string; file: () => string},
): Promise<Counts> {
  const before = await openBackup(vault, {collection: 'c', point: from});
  const source = await openSource({scheme: 'sqlite', path: database});
  const after =
    to === undefined
      ? await liveAfter(before, {source, signal: never})
      : storedAfter(await openBackup(vault, {collection: 'c', point: to}), before, never);
  try {
    const tools = {file, requireRoom: () => {}, signal: never, progress: () => {}};
    const printed = {added: 0, changed: 0, deleted: 0};
    const count = (_: string, changes: Iterable<{kind: keyof Counts}>) => {
      for (const {kind} of changes) printed[kind]++;
    };
    for await (const {added, changed, deleted} of diffTables(tools, {before, after}, count)) {
      expect(printed).toEqual({added, changed, deleted});
      return {added, changed, deleted};
    }
    throw new Error('no table was compared');
  } finally {
    await after.close();
  }
}

/** Rows by their key, as its index compares them; those with a NULL in it are only counted. */
function model(before: string, after: string): Counts {
  const [old, now] = [keyed(before), keyed(after)];
  const counts = {added: 0, changed: 0, deleted: 0};
  for (const [key, row] of old.rows) {
    const other = now.rows.get(key);
    if (other === undefined) counts.deleted++;
    else if (other !== row) counts.changed++;
  }
  for (const key of now.rows.keys()) if (!old.rows.has(key)) counts.added++;
  for (const row of new Set([...old.loose.keys(), ...now.loose.keys()])) {
    const more = (now.loose.get(row) ?? 0) - (old.loose.get(row) ?? 0);
    if (more > 0) counts.added += more;
    else counts.deleted -= more;
  }
  return counts;
}

function keyed(path: string): {rows: Map<string, string>; loose: Map<string, number>} {
  const db = open(path);
  try {
    const info = db.prepare(`SELECT name, hidden FROM pragma_table_xinfo('t')`).all();
    // What is computed when it is read is not a part of the row.
    const columns = info.filter(({hidden}) => hidden !== 2).map(({name}) => `"${name}"`);
    const parts = db
      .prepare(
        `SELECT x.name, x.coll FROM pragma_index_list('t') AS l, pragma_index_xinfo(l.name) AS x
         WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno`,
      )
      .all();
    const key = parts.length === 0 ? [{name: 'k', coll: 'BINARY'}] : parts;
    const terms = key.map(
      ({name}) => `typeof("${name}"), CASE typeof("${name}") WHEN 'text' THEN
      CAST("${name}" AS BLOB) ELSE "${name}" END`,
    );
    const statement = db.prepare(`SELECT ${columns.map(bits).join(` || '|' || `)}, ${terms.join(', ')} FROM t`);
    statement.setReturnArrays(true);
    statement.setReadBigInts(true);
    const rows = new Map<string, string>();
    const loose = new Map<string, number>();
    for (const [row, ...values] of statement.all() as unknown as [string, ...unknown[]][]) {
      const names = key.map(({coll}, at) => normal(values[2 * at] as string, values[2 * at + 1], String(coll)));
      if (names.includes('null')) loose.set(row, (loose.get(row) ?? 0) + 1);
      else rows.set(names.join(), row);
    }
    return {rows, loose};
  } finally {
    db.close();
  }
}

/** Equal for values that the collation takes for equal. */
function normal(type: string, value: unknown, collation: string): string {
  if (type === 'null') return 'null';
  if (type === 'integer') return `number ${value}`;
  if (type === 'real') return Number.isInteger(value) ? `number ${BigInt(value as number)}` : `number ${value}`;
  const text = Buffer.from(value as Uint8Array).toString('latin1');
  if (type === 'blob') return `blob ${text}`;
  if (/nocase/i.test(collation)) return `text ${text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())}`;
  return `text ${/rtrim/i.test(collation) ? text.replace(/ +$/, '') : text}`;
}
