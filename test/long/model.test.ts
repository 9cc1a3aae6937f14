import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {diff} from '../../src/app/looking/diff.ts';
import {exportToFile} from '../../src/app/looking/export.ts';
import {selectable} from '../../src/app/views/views.ts';
import type {BackupName, TableDifference} from '../../src/collections/index.ts';
import {BkpError} from '../../src/errors/index.ts';
import {runSelect} from '../../src/query/index.ts';
import type {RowChange, StoredRow, StoredValue} from '../../src/sources/index.ts';
import {type TestDeps, testDeps} from '../helpers/deps.ts';
import {type History, live, quoted, randomHistory, removeHistory, tablesIn} from '../helpers/random-history.ts';
import {bits, imageOf} from '../helpers/sqlite-compare.ts';
import {seed as firstSeed} from '../seeds/seed.ts';
import {Random} from '../simulator/random.ts';

// Databases whose rows and schemas change at random, with copies of the file at each backup. SELECT on a backup, diff
// and export must give what SQLite and a few lines of JavaScript find in the copies.

const rounds = Number(process.env.BKP_TEST_RUNS ?? 6);

async function withHistory(use: (history: History, deps: TestDeps, random: Random) => Promise<void>): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const random = new Random(seed);
    const history = randomHistory(random);
    const deps = testDeps(join(history.folder, 'home'));
    Object.assign(deps.flags, {source: history.database, cluster: history.cluster});
    try {
      await live(history, random, random.between(2, 5));
      await use(history, deps, random);
    } catch (error) {
      throw new Error(`BKP_TEST_SEED=${seed} BKP_TEST_RUNS=1\n${history.log.join('\n')}\n${said(error)}`, {
        cause: error,
      });
    } finally {
      deps.close();
      removeHistory(history);
    }
  }
}

const said = (error: unknown) =>
  error instanceof BkpError ? `${error.code}: ${error.message}` : String((error as Error).message).slice(0, 4000);

test('a SELECT on tables of backups has the rows that it has on the databases of their times', async () => {
  const found = {rows: 0, errors: 0};
  await withHistory(async (history, deps, random) => {
    for (let left = 25; left > 0; left--) {
      const {ours, theirs, copies, isRefused} = anySelect(history, random);
      const wanted = onCopies(copies, theirs);
      const got = await runSelect(ours, selectable(deps)).then(
        ({rows}) => rows.map((row) => JSON.stringify(row)).sort(),
        (error: Error) => error,
      );
      // What SQLite refuses, it refuses in both places.
      if (wanted instanceof Error || isRefused) {
        expect(got, `${ours}\n${theirs}\n${wanted}`).toBeInstanceOf(Error);
        found.errors++;
      } else {
        if (got instanceof Error) throw new Error(`${ours}\n${theirs}`, {cause: got});
        expect(got, `${ours}\n${theirs}`).toEqual(wanted);
        found.rows += wanted.length;
      }
    }
  });
  expect(found.rows).toBeGreaterThan(0);
}, 3_000_000);

/**
 * The same question to bkp, and to copies of the database attached as `c0`, `c1`. `isRefused`: it names the rowid of a
 * table with another key, which backups do not have.
 */
function anySelect(
  {copies}: History,
  random: Random,
): {ours: string; theirs: string; copies: readonly string[]; isRefused: boolean} {
  const names = [...copies.keys()];
  const used: string[] = [];
  const reference = (alias: string) => {
    const name = random.pick(names);
    const path = copies.get(name)!;
    if (!used.includes(path)) used.push(path);
    const {name: table, columns, keepsRowids} = random.pick(tablesIn(path));
    // A time, the complete name, or the newest by default.
    const isNewest = name === names.at(-1);
    const point = isNewest && random.chance(0.3) ? '' : `, '${name}'`;
    const written = random.pick([quoted(table), quoted(table), `\`${table.replaceAll('`', '``')}\``]);
    return {
      ...{columns, alias, keepsRowids},
      ours: `backup('c'${point}).${written} AS ${alias}`,
      theirs: `c${used.indexOf(path)}.${quoted(table)} AS ${alias}`,
    };
  };
  const a = reference('a');
  const b = reference('"b b"');
  const column = (of: typeof a, alias: string) =>
    random.chance(0.7)
      ? `${alias}.${random.pick(['k', 'k', 'l', 'K'])}`
      : `${alias}.${quoted(random.pick([...of.columns, 'rowid']))}`;
  const literal = () =>
    random.pick([
      ...[
        '0',
        '5',
        '-1',
        '63',
        '64',
        '65',
        '128',
        '300',
        '1007',
        '9223372036854775807',
        "'a'",
        "'k12'",
        "'K12'",
        "'é7'",
      ],
      ...["'12'", "''", "'A'", "'Z'", 'NULL', '2.5', "x'00ff'", "'it''s'"],
    ]);
  const term = (of: typeof a, alias: string): string =>
    random.pick([
      () => `${column(of, alias)} ${random.pick(['=', '==', '<', '<=', '>', '>=', '<>', 'IS'])} ${literal()}`,
      () => `${literal()} ${random.pick(['=', '<', '<=', '>', '>='])} ${column(of, alias)}`,
      () => `${column(of, alias)} BETWEEN ${literal()} AND ${literal()}`,
      () => `${column(of, alias)} IN (${literal()}, ${literal()}, ${literal()})`,
      () => `(${term(of, alias)} AND ${term(of, alias)})`,
      () => `(${term(of, alias)} OR ${term(of, alias)})`,
      () => `${column(of, alias)} IS NULL`,
      () => `${column(of, alias)} LIKE 'k1%'`,
      () => `NOT ${term(of, alias)}`,
    ])();
  const terms = (of: typeof a, alias: string) =>
    Array.from({length: random.between(1, 3)}, () => term(of, alias)).join(' AND ');
  const shown = (of: typeof a, alias: string) =>
    of.columns.map((name, at) => `${bits(`${alias}.${quoted(name)}`)} AS c${alias.length}${at}`).join(', ');
  const [all, both] = [shown(a, 'a'), `${shown(a, 'a')}, ${shown(b, '"b b"')}`];
  const where = terms(a, 'a');
  const other = terms(b, '"b b"');
  const on = `${column(a, 'a')} = ${column(b, '"b b"')}`;
  const join = random.pick(['JOIN', 'LEFT JOIN', 'CROSS JOIN']);
  const limited = `${column(a, 'a')} BETWEEN 0 AND 90 AND ${column(b, '"b b"')} < 90`;
  const text = random.pick([
    `SELECT ${all} FROM A WHERE ${where}`,
    `SELECT ${all} FROM A WHERE ${where}`,
    `SELECT ${all} FROM A WHERE ${where}`,
    `SELECT ${all} FROM A`,
    `SELECT count(*), min(a.k), max(a.l), count(DISTINCT a.l) FROM A WHERE ${where}`,
    `SELECT typeof(a.k), count(*) FROM A WHERE ${where} GROUP BY 1 HAVING count(*) > 0 ORDER BY 1`,
    `SELECT ${both} FROM A ${join} B ON ${on} WHERE ${where}`,
    `SELECT ${both} FROM A ${join} B ON ${on} WHERE ${where} AND ${other}`,
    `SELECT ${both} FROM A, B WHERE ${limited} AND ${on}`,
    `SELECT ${all} FROM A WHERE ${where} AND a.k IN (SELECT "b b".k FROM B WHERE ${other})`,
    `SELECT ${all} FROM A WHERE NOT EXISTS (SELECT 1 FROM B WHERE ${on} AND ${other})`,
    `SELECT a.k FROM A WHERE ${where} UNION ALL SELECT "b b".k FROM B WHERE ${other}`,
    `SELECT a.k FROM A WHERE ${where} EXCEPT SELECT "b b".k FROM B WHERE ${other}`,
    `SELECT ${all} FROM A WHERE ${where} ORDER BY a.k LIMIT 1000`,
    `SELECT * FROM (WITH x AS (SELECT ${all} FROM A WHERE ${where}) SELECT * FROM x)`,
    `WITH x AS (SELECT ${all} FROM A WHERE ${where}), y AS (SELECT 1 FROM B) SELECT *, (SELECT count(*) FROM y) FROM x`,
    `WITH x(k) AS MATERIALIZED (SELECT a.k FROM A WHERE ${where}) SELECT count(*) FROM x, x AS y`,
  ]);
  const put = (first: string, second: string) =>
    text.replaceAll(/(FROM|JOIN|,) ([AB])\b/g, (_, word, which) => `${word} ${which === 'A' ? first : second}`);
  const ours = put(a.ours, b.ours);
  const isRefused = [a, b].some(
    ({alias, columns, keepsRowids}) =>
      !keepsRowids && !columns.includes('rowid') && ours.includes(`${alias}.${quoted('rowid')}`),
  );
  return {ours, theirs: put(a.theirs, b.theirs), copies: used, isRefused};
}

function onCopies(copies: readonly string[], text: string): readonly string[] | Error {
  const db = new DatabaseSync(':memory:');
  try {
    for (const [at, path] of copies.entries()) db.prepare(`ATTACH ? AS c${at}`).run(path);
    const statement = db.prepare(text);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    const rows = statement.all() as unknown as unknown[][];
    return rows
      .map((row) =>
        JSON.stringify(
          row.map((value) => {
            if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
            return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
          }),
        ),
      )
      .sort();
  } catch (error) {
    return error as Error;
  } finally {
    db.close();
  }
}

test('a diff has the counts and the rows that two copies of the database differ in', async () => {
  const kinds = new Set<string>();
  await withHistory(async (history, deps, random) => {
    const names = [...history.copies.keys()];
    for (let left = 6; left > 0; left--) {
      const from = random.pick(names);
      const to = random.chance(0.4) ? undefined : random.pick(names);
      const [before, after] = [
        history.copies.get(from)!,
        to === undefined ? history.database : history.copies.get(to)!,
      ];
      const found: TableDifference[] = [];
      const rows: string[] = [];
      const request = {before: {collection: 'c', point: from}, after: to, tables: []};
      const table = (difference: TableDifference) => void found.push(difference);
      const withRows = random.chance(0.7);
      await diff(deps, request, {
        table,
        ...(withRows
          ? {rows: async (name: string, change: RowChange) => void rows.push(changeText(name, change))}
          : {}),
      });
      const wanted = differences(before, after);
      const label = `${from} to ${to ?? 'now'}`;
      const counts = found.map(({schema: _, ...rest}) => rest);
      expect(counts, label).toEqual(wanted.counts);
      if (withRows) expect(rows.sort(), label).toEqual(wanted.rows.sort());
      for (const {state, added, changed, deleted} of found) {
        kinds.add(state);
        if (added > 0) kinds.add('added');
        if (changed > 0) kinds.add('changed');
        if (deleted > 0) kinds.add('deleted');
      }
    }
  });
  // Few histories have rows that only changed: twelve may have none.
  if (rounds >= 48) expect([...kinds].sort()).toEqual(expect.arrayContaining(['added', 'changed', 'deleted', 'kept']));
}, 3_000_000);

const changeText = (table: string, change: RowChange) =>
  [
    `${table} ${change.kind} ${rowText(change.row)}`,
    ...(change.kind === 'changed' ? [`from ${rowText(change.before)}`] : []),
  ].join(' ');

const rowText = (row: StoredRow) => JSON.stringify([...row].map(([name, value]) => [name, valueText(value)]));

function valueText(value: StoredValue): string {
  if (value instanceof Uint8Array) return `blob ${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'number') return `real ${Object.is(value, -0) ? '-0' : value}`;
  return typeof value === 'bigint' ? `integer ${value}` : value === null ? 'null' : `text ${value}`;
}

type ModelTable = {
  columns: readonly string[];
  /** Columns that a record holds. */
  stored: readonly string[];
  key: readonly {name: string; collation: string; kind: string}[];
  isRowid: boolean;
  rows: readonly Readonly<Record<string, StoredValue>>[];
};

/** Each table of a file, its rows in the order of its key. */
function tablesOf(path: string): ReadonlyMap<string, ModelTable> {
  const db = new DatabaseSync(path);
  try {
    return new Map(tablesIn(path).map(({name}) => [name, modelTable(db, name)]));
  } finally {
    db.close();
  }
}

function modelTable(db: DatabaseSync, name: string): ModelTable {
  const info = db.prepare('SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)').all(name);
  const kindOf = (column: string) => kindOfType(String(info.find((one) => one.name === column)!.type));
  const columns = info.map((row) => String(row.name));
  const parts = db
    .prepare(
      `SELECT x.name, x.coll FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x
       WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno`,
    )
    .all(name)
    .map((row) => ({name: String(row.name), collation: String(row.coll), kind: kindOf(String(row.name))}));
  const alias = info.find(({pk}) => pk === 1);
  const key =
    parts.length > 0
      ? parts
      : [{name: alias === undefined ? 'rowid' : String(alias.name), collation: 'BINARY', kind: 'number'}];
  const order = key.map((part) => `${quoted(part.name)} COLLATE ${part.collation}`);
  const terms = [...columns, ...(key[0]!.name === 'rowid' ? ['rowid'] : [])].map(quoted);
  const statement = db.prepare(`SELECT ${terms.join(', ')} FROM main.${quoted(name)} ORDER BY ${order.join(', ')}`);
  statement.setReadBigInts(true);
  return {
    ...{columns, key, isRowid: parts.length === 0, rows: statement.all() as Readonly<Record<string, StoredValue>>[]},
    stored: info.filter(({hidden}) => hidden !== 2).map((row) => String(row.name)),
  };
}

/** Where they are compared, SQLite turns texts into numbers and back: https://www.sqlite.org/datatype3.html, 4.2 */
function kindOfType(type: string): string {
  if (/INT/i.test(type)) return 'number';
  if (/CHAR|CLOB|TEXT/i.test(type)) return 'text';
  return type === '' || /BLOB/i.test(type) ? 'blob' : 'number';
}

/** What `bkp diff` has to find, row by row in JavaScript. */
function differences(before: string, after: string) {
  const [old, now] = [tablesOf(before), tablesOf(after)];
  const rows: string[] = [];
  const counts = [...new Set([...old.keys(), ...now.keys()])].sort().map((table) => {
    const [one, other] = [old.get(table), now.get(table)];
    const count = {table, state: 'kept', added: 0, changed: 0, deleted: 0};
    const put = (change: RowChange) => {
      count[change.kind]++;
      rows.push(changeText(table, change));
    };
    const all = (of: ModelTable, kind: 'added' | 'deleted') => {
      for (const row of of.rows) put({kind, row: only(row, of.columns)});
    };
    if (one === undefined || other === undefined) {
      count.state = one === undefined ? 'created' : 'dropped';
      if (one === undefined) all(other!, 'added');
      else all(one, 'deleted');
    } else if (keyName(one) !== keyName(other)) {
      all(one, 'deleted');
      all(other, 'added');
    } else compareRows(one, other, put);
    return count;
  });
  return {counts, rows};
}

/** A rowid is the same key under any name. */
const keyName = ({key, isRowid}: ModelTable) =>
  isRowid
    ? 'rowid'
    : JSON.stringify(key.map(({name, collation, kind}) => [name.toLowerCase(), collation.toUpperCase(), kind]));

const only = (row: Readonly<Record<string, StoredValue>>, columns: readonly string[]) =>
  new Map(columns.map((name) => [name, row[name]!]));

function compareRows(one: ModelTable, other: ModelTable, put: (change: RowChange) => void): void {
  const theirs = new Map(other.stored.map((name) => [name.toLowerCase(), name]));
  const common = one.stored.filter((name) => theirs.has(name.toLowerCase()));
  const [here, there] = [byKey(one), byKey(other)];
  for (const [key, row] of here.keyed) {
    const now = there.keyed.get(key);
    if (now === undefined) put({kind: 'deleted', row: only(row, one.columns)});
    else if (common.some((name) => valueText(row[name]!) !== valueText(now[theirs.get(name.toLowerCase())!]!)))
      put({kind: 'changed', row: only(now, other.columns), before: only(row, one.columns)});
  }
  for (const [key, row] of there.keyed) if (!here.keyed.has(key)) put({kind: 'added', row: only(row, other.columns)});
  // Rows with a NULL in their key have no identity: they are counted by what they have in common.
  const times = new Map<string, {row: StoredRow; n: number}>();
  const count = (row: Readonly<Record<string, StoredValue>>, names: readonly string[], n: number) => {
    const shown = new Map(names.map((name, at) => [common[at]!, row[name]!]));
    const text = rowText(shown);
    times.set(text, {row: shown, n: (times.get(text)?.n ?? 0) + n});
  };
  for (const row of here.loose) count(row, common, -1);
  const named = common.map((name) => theirs.get(name.toLowerCase())!);
  for (const row of there.loose) count(row, named, 1);
  for (const {row, n} of times.values()) {
    for (let left = Math.abs(n); left > 0; left--) put({kind: n > 0 ? 'added' : 'deleted', row});
  }
}

function byKey({key, rows}: ModelTable) {
  const keyed = new Map<string, Readonly<Record<string, StoredValue>>>();
  const loose: Readonly<Record<string, StoredValue>>[] = [];
  for (const row of rows) {
    const parts = key.map(({name, collation}) => keyText(row[name]!, collation.toUpperCase()));
    if (parts.includes('null')) loose.push(row);
    else keyed.set(JSON.stringify(parts), row);
  }
  return {keyed, loose};
}

/** Equal for values that are one key. */
function keyText(value: StoredValue, collation: string): string {
  if (typeof value === 'number' && Number.isInteger(value)) return `integer ${BigInt(value)}`;
  if (typeof value !== 'string') return valueText(value);
  if (collation === 'NOCASE') return `text ${value.replace(/[A-Z]/g, (letter) => letter.toLowerCase())}`;
  return `text ${collation === 'RTRIM' ? value.replace(/ +$/, '') : value}`;
}

test('an export has the rows of the backup, exactly and in the order of the key', async () => {
  await withHistory(async (history, deps, random) => {
    const [name, copy] = random.pick([...history.copies]) as [BackupName, string];
    const from = {collection: 'c', point: name};
    const file = history.file('.db');
    await exportToFile(deps, {from, file, format: 'database', tables: []});
    expect(imageOf(file)).toEqual(imageOf(copy));
    for (const [table, {columns, rows}] of tablesOf(copy)) {
      const wanted = rows.map((row) => columns.map((column) => row[column]!));
      const csv = history.file('.csv');
      await exportToFile(deps, {from, file: csv, format: 'csv', tables: [table]});
      expect(csvRows(readFileSync(csv, 'utf8')), table).toEqual([columns, ...wanted.map((row) => row.map(csvValue))]);
      const jsonl = history.file('.jsonl');
      await exportToFile(deps, {from, file: jsonl, format: 'jsonl', tables: [table]});
      const lines = readFileSync(jsonl, 'utf8').split('\n');
      expect(lines.pop()).toBe('');
      expect(lines, table).toEqual(wanted.map((row) => jsonLine(columns, row)));
    }
  });
}, 3_000_000);

/** A field in quotes keeps them, so that NULL and an empty text differ. */
function csvRows(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, field, end] of text.matchAll(/((?:"(?:[^"]|"")*"|[^",\r\n])*)(,|\r\n)/gy)) {
    const isQuoted = field!.startsWith('"');
    rows.at(-1)!.push(field === '""' ? '""' : isQuoted ? field!.slice(1, -1).replaceAll('""', '"') : field!);
    if (end === '\r\n') rows.push([]);
  }
  expect(rows.pop()).toEqual([]);
  return rows;
}

function csvValue(value: StoredValue): string {
  if (value === null) return '';
  if (value === '') return '""';
  if (typeof value === 'number') return realText(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') || '""' : String(value);
}

function realText(value: number): string {
  if (!Number.isFinite(value)) return value < 0 ? '-9e999' : '9e999';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function jsonLine(columns: readonly string[], row: readonly StoredValue[]): string {
  const members = columns.map((name, at) => {
    const value = row[at]!;
    const text =
      value instanceof Uint8Array
        ? `{"base64":"${Buffer.from(value).toString('base64')}"}`
        : typeof value === 'number'
          ? realText(value)
          : typeof value === 'string'
            ? JSON.stringify(value)
            : String(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${members.join(',')}}`;
}
