import {DatabaseSync, type SQLInputValue} from 'node:sqlite';
import {ResultCode, resultCode} from '../../../src/sources/sqlite/engine/errors.ts';

/** What a merge has to do, computed row by row in JavaScript, where SQLite compares nothing. */
export type MergeModel = {
  /** Rows by table, as texts that have every bit, sorted. */
  expected: Readonly<Record<string, readonly string[]>>;
  /** The same of the living tables at the time of the call. */
  rowsNow: () => Readonly<Record<string, readonly string[]>>;
  counts: (table: string) => {inserted: number; updated: number; deleted: number; kept: number};
  hasNullKeys: boolean;
  /** The expected rows as values. */
  rows: ReadonlyMap<string, readonly ModelRow[]>;
  /** The rows of the living tables at the time of the model. */
  living: ReadonlyMap<string, readonly ModelRow[]>;
};

type Value = {type: string; value: bigint | number | Uint8Array | null};
type ModelRow = {columns: readonly string[]; values: readonly Value[]; key: string; hasNull: boolean};

/** @param others tables that are not merged */
export function mergedModel(
  now: string,
  then: string,
  {tables, others, mode}: {tables: readonly string[]; others: readonly string[]; mode: 'merge' | 'replace'},
): MergeModel {
  const readOthers = () => others.map((table) => [table, rowsOf(now, table, columnsOf(now, table))] as const);
  const read = (path: string) => new Map(tables.map((table) => [table, rowsOf(path, table, columnsOf(then, table))]));
  const [merged, stored] = [read(now), read(then)];
  const living = new Map([...merged, ...readOthers()]);
  const rows = new Map<string, readonly ModelRow[]>(readOthers());
  const counts = new Map<string, {inserted: number; updated: number; deleted: number; kept: number}>();
  for (const table of tables) {
    const [here, there] = [living.get(table)!, stored.get(table)!];
    const [keysHere, keysThere] = [byKey(here), byKey(there)];
    const only = here.filter(({key, hasNull}) => hasNull || !keysThere.has(key));
    rows.set(table, mode === 'merge' ? [...there, ...only] : there);
    counts.set(table, {
      inserted: there.filter(({key, hasNull}) => hasNull || !keysHere.has(key)).length,
      updated: there.filter(({key, hasNull, values}) => {
        const row = keysHere.get(key);
        return !hasNull && row !== undefined && textOf(row.values) !== textOf(values);
      }).length,
      deleted: mode === 'replace' ? only.length : 0,
      kept: mode === 'merge' ? only.length : 0,
    });
  }
  const texts = (of: ReadonlyMap<string, readonly ModelRow[]>) =>
    Object.fromEntries([...of].map(([table, list]) => [table, list.map(({values}) => textOf(values)).sort()]));
  return {
    expected: texts(rows),
    rowsNow: () => texts(new Map([...read(now), ...readOthers()])),
    counts: (table) => counts.get(table)!,
    hasNullKeys: [...merged.values(), ...stored.values()].flat().some(({hasNull}) => hasNull),
    rows,
    living,
  };
}

/**
 * Inserts the expected rows into new tables, and the living ones into others.
 * @returns what SQLite has against the expected rows and not against the living ones, undefined for nothing
 */
export function tryModel(schema: string, {living, rows}: MergeModel): 'constraint' | 'foreign key' | undefined {
  const after = danglingIn(schema, rows);
  if (after === undefined) return 'constraint';
  const before = danglingIn(schema, living)!;
  return [...after].some(([row, times]) => times > (before.get(row) ?? 0)) ? 'foreign key' : undefined;
}

/** @returns which rows refer to rows that do not exist, and how often; undefined if a constraint refuses a row */
function danglingIn(schema: string, rows: MergeModel['rows']): ReadonlyMap<string, number> | undefined {
  const db = new DatabaseSync(':memory:', {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  try {
    for (const statement of schema.split(/;\n(?=CREATE)/)) {
      if (!/^CREATE TRIGGER/.test(statement)) db.exec(withRowid(statement));
    }
    const dangling = new Map<string, number>();
    const inserted = new Map([...rows].map(([table, list]) => [table, insertedRows(db, table, list)]));
    for (const [table, byRowid] of inserted) {
      if (byRowid === undefined) return undefined;
      for (const {rowid, fkid} of foreignKeyFaults(db, table)) {
        const row = `foreign key ${fkid} of ${table}: ${byRowid.get(rowid as bigint)!.key}`;
        dangling.set(row, (dangling.get(row) ?? 0) + 1);
      }
    }
    return dangling;
  } finally {
    db.close();
  }
}

/**
 * SQLite's check names rows by their rowids, which these tables get. A key of one INTEGER would become the rowid, and
 * accept nothing but integers: it becomes UNIQUE.
 */
function withRowid(statement: string): string {
  const ending = /\) WITHOUT ROWID(?=;|$)/;
  return ending.test(statement) ? statement.replace(ending, ')').replace('PRIMARY KEY (', 'UNIQUE (') : statement;
}

/** @returns the rows by their rowids; undefined if a constraint refuses one */
function insertedRows(
  db: DatabaseSync,
  table: string,
  rows: readonly ModelRow[],
): ReadonlyMap<bigint, ModelRow> | undefined {
  const byRowid = new Map<bigint, ModelRow>();
  for (const row of rows) {
    const names = row.columns.map(quoted).join(', ');
    const marks = row.values.map(({type}) => (type === 'text' ? 'CAST(? AS TEXT)' : '?')).join(', ');
    const insert = db.prepare(`INSERT OR ABORT INTO ${table} (${names}) VALUES (${marks})`);
    insert.setReadBigInts(true);
    try {
      const {lastInsertRowid} = insert.run(...row.values.map(({value}) => value as SQLInputValue));
      byRowid.set(lastInsertRowid as bigint, row);
    } catch (error) {
      if (resultCode(error) !== ResultCode.constraint) throw error;
      return undefined;
    }
  }
  return byRowid;
}

/** SQLite checks no foreign key of a table that has one to columns that are not unique. */
function foreignKeyFaults(db: DatabaseSync, table: string) {
  try {
    const check = db.prepare(`PRAGMA foreign_key_check(${table})`);
    check.setReadBigInts(true);
    return check.all();
  } catch (error) {
    if (!/foreign key mismatch/.test((error as Error).message)) throw error;
    return [];
  }
}

const byKey = (rows: readonly ModelRow[]) => new Map(rows.flatMap((row) => (row.hasNull ? [] : [[row.key, row]])));

/** What a record of the table holds; the rowid too if nothing else identifies a row. */
function columnsOf(path: string, table: string): readonly string[] {
  const db = new DatabaseSync(path, {enableForeignKeyConstraints: false});
  try {
    const info = db.prepare('SELECT name, pk, hidden FROM pragma_table_xinfo(?)').all(table);
    const columns = info.filter(({hidden}) => hidden !== 2 && hidden !== 3).map(({name}) => String(name));
    return info.every(({pk}) => pk === 0) ? ['rowid', ...columns] : columns;
  } finally {
    db.close();
  }
}

/** @param columns of the backup; the table may have more */
function rowsOf(path: string, table: string, columns: readonly string[]): ModelRow[] {
  const db = new DatabaseSync(path, {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  const at = (name: unknown) => columns.findIndex((one) => one.toLowerCase() === String(name).toLowerCase());
  try {
    const info = db.prepare('SELECT name, pk FROM pragma_table_xinfo(?)').all(table);
    const parts = db
      .prepare(
        `SELECT x.name, x.coll FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x
         WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno`,
      )
      .all(table)
      .map(({name, coll}) => ({at: at(name), collation: String(coll)}));
    // An INTEGER PRIMARY KEY has no index.
    if (parts.length === 0) {
      parts.push({at: at(info.find(({pk}) => pk === 1)?.name ?? 'rowid'), collation: 'BINARY'});
    }
    const terms = columns.map(quoted).map((c) => `typeof(${c}), iif(typeof(${c}) = 'text', CAST(${c} AS BLOB), ${c})`);
    const select = db.prepare(`SELECT ${terms.join(', ')} FROM main.${quoted(table)}`);
    select.setReadBigInts(true);
    select.setReturnArrays(true);
    // A table with another key than the backup's, which is replaced with its schema: its rows are those of no key.
    const isKnown = parts.every(({at}) => at >= 0);
    return (select.all() as unknown as (string | Value['value'])[][]).map((row, number) => {
      const values = columns.map((_, at) => ({type: row[2 * at] as string, value: row[2 * at + 1] as Value['value']}));
      const key = isKnown ? parts.map(({at, collation}) => keyOf(values[at]!, collation)) : [`row ${number}`];
      return {columns, values, key: key.join('|'), hasNull: key.includes('null')};
    });
  } finally {
    db.close();
  }
}

function keyOf({type, value}: Value, collation: string): string {
  switch (type) {
    case 'null':
      return 'null';
    case 'integer':
      return `n${value}`;
    case 'real':
      return Number.isInteger(value) ? `n${BigInt(value as number)}` : `r${value}`;
    case 'text': {
      const bytes = Buffer.from(value as Uint8Array).toString('latin1');
      const folded = collation === 'NOCASE' ? bytes.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : bytes;
      return `t${collation === 'RTRIM' ? folded.replace(/ +$/, '') : folded}`;
    }
    default:
      return `b${Buffer.from(value as Uint8Array).toString('hex')}`;
  }
}

const textOf = (values: readonly Value[]) => values.map(bits).join(' | ');

function bits({type, value}: Value): string {
  if (value instanceof Uint8Array) return `${type} ${Buffer.from(value).toString('hex')}`;
  return `${type} ${Object.is(value, -0) ? '-0' : String(value)}`;
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
