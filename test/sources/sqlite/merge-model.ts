import {DatabaseSync, type SQLInputValue} from 'node:sqlite';

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
};

type Value = {type: string; value: bigint | number | Uint8Array | null};
type ModelRow = {columns: readonly string[]; values: readonly Value[]; key: string; hasNull: boolean};

export function mergedModel(
  now: string,
  then: string,
  tables: readonly string[],
  mode: 'merge' | 'replace',
): MergeModel {
  const read = (path: string) => new Map(tables.map((table) => [table, rowsOf(path, table, columnsOf(then, table))]));
  const [living, stored] = [read(now), read(then)];
  const rows = new Map<string, readonly ModelRow[]>();
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
    rowsNow: () => texts(read(now)),
    counts: (table) => counts.get(table)!,
    hasNullKeys: [...living.values(), ...stored.values()].flat().some(({hasNull}) => hasNull),
    rows,
  };
}

/** Inserts the expected rows into new tables. @returns what SQLite has against them, undefined for nothing */
export function tryModel(schema: string, {rows}: MergeModel): 'constraint' | 'foreign key' | undefined {
  const db = new DatabaseSync(':memory:', {enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: true});
  try {
    for (const statement of schema.split(/;\n(?=CREATE)/)) if (!/^CREATE TRIGGER/.test(statement)) db.exec(statement);
    for (const [table, list] of rows) {
      for (const {columns, values} of list) {
        const names = columns.map(quoted).join(', ');
        const marks = values.map(({type}) => (type === 'text' ? 'CAST(? AS TEXT)' : '?')).join(', ');
        const insert = db.prepare(`INSERT OR ABORT INTO ${table} (${names}) VALUES (${marks})`);
        try {
          insert.run(...values.map(({value}) => value as SQLInputValue));
        } catch {
          return 'constraint';
        }
      }
    }
    return [...rows.keys()].some((table) => dangles(db, table)) ? 'foreign key' : undefined;
  } finally {
    db.close();
  }
}

/** SQLite checks no foreign key of a table that has one to columns that are not unique. */
function dangles(db: DatabaseSync, table: string): boolean {
  try {
    return db.prepare(`PRAGMA foreign_key_check(${table})`).all().length > 0;
  } catch {
    return false;
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
