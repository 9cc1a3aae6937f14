import type pg from 'pg';
import type {MergeMode} from '../../../src/sources/index.ts';
import {quoted, type RandomTable, type RandomTables, type Reference} from './random-tables.ts';

/** Rows by table. Values are what the server writes as text, which is the same only for the same value. */
export type Rows = ReadonlyMap<string, readonly Row[]>;
export type Row = Readonly<Record<string, string | null>>;

export type MergeModel = {
  /** What must be in every table afterwards; undefined if constraints do not allow it. */
  expected: Rows | undefined;
  counts: (table: string) => {inserted: number; updated: number; deleted: number; kept: number};
  /** Foreign keys of tables that are not named would change rows of these. */
  isCascading: boolean;
  /** Unique values that move between rows, which bkp may refuse. */
  isExchanging: boolean;
  /** Keys that get other bytes, so that rows that stay would change with them, which bkp may refuse. */
  isRewriting: boolean;
};

/** @param schema in which the tables are */
export async function rowsOf(client: pg.Client, tables: readonly RandomTable[], schema = 'public'): Promise<Rows> {
  const found = new Map<string, readonly Row[]>();
  for (const {name} of tables) {
    const {rows: columns} = await client.query<{attname: string}>(
      'SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped',
      [`${schema}.${quoted(name)}`],
    );
    const list = columns.map(({attname}) => `${quoted(attname)}::text`).join(', ');
    const {rows} = await client.query<Row>(`SELECT ${list} FROM ${schema}.${quoted(name)}`);
    found.set(name, rows);
  }
  return found;
}

/** In any order. */
export const asTexts = (rows: Rows) =>
  Object.fromEntries([...rows].map(([table, list]) => [table, list.map((row) => JSON.stringify(row)).toSorted()]));

export async function mergedModel(
  client: pg.Client,
  {tables, create, references}: RandomTables,
  of: {kept: Rows; now: Rows; named: readonly string[]; mode: MergeMode; alterations: readonly string[]},
): Promise<MergeModel> {
  const {kept, now, named, mode, alterations} = of;
  const wanted = new Map<string, readonly Row[]>();
  const counted = new Map<string, ReturnType<MergeModel['counts']>>();
  for (const table of tables) {
    const {name} = table;
    const [here, there] = [now.get(name)!, kept.get(name)!];
    if (!named.includes(name)) {
      wanted.set(name, here);
      continue;
    }
    const [keysHere, keysThere] = [byKey(table, here), byKey(table, there)];
    const only = here.filter((row) => !keysThere.has(keyOf(table, row)!));
    const counterparts = there.map((row) => [row, keysHere.get(keyOf(table, row)!)] as const);
    const come = counterparts.map(([row, living]) => ({...living, ...row}));
    wanted.set(name, mode === 'merge' ? [...come, ...only] : come);
    counted.set(name, {
      inserted: counterparts.filter(([, living]) => living === undefined).length,
      updated: counterparts.filter(
        ([row, living]) => living !== undefined && stored(table).some((column) => living[column] !== row[column]),
      ).length,
      deleted: mode === 'replace' ? only.length : 0,
      kept: mode === 'merge' ? only.length : 0,
    });
  }
  const living = new Map([...now].map(([name, rows]) => [name, new Set(rows.map((row) => JSON.stringify(row)))]));
  // A row without a key is deleted and inserted.
  const isUnwritten = (name: string, row: Row) =>
    (!named.includes(name) || tables.find((table) => table.name === name)!.key.length > 0) &&
    living.get(name)!.has(JSON.stringify(row));
  return {
    expected: await tried(client, {tables, create, references, triggers: []}, {rows: wanted, alterations, isUnwritten}),
    counts: (table) => counted.get(table)!,
    isCascading: tables.some(
      (child) =>
        !named.includes(child.name) &&
        child.references.some((reference) => moves(tables, child, reference, now, wanted)),
    ),
    isExchanging: tables.some((table) => exchanges(table, now.get(table.name)!, wanted.get(table.name)!)),
    isRewriting: tables.some(
      (child) =>
        named.includes(child.name) &&
        child.references.some((reference) => rewrites(tables, child, reference, now, wanted)),
    ),
  };
}

const stored = ({columns}: RandomTable) => columns.filter(({isGenerated}) => !isGenerated).map(({name}) => name);

const byKey = (table: RandomTable, rows: readonly Row[]) =>
  new Map(rows.flatMap((row) => ((key) => (key === undefined ? [] : [[key, row]]))(keyOf(table, row))));

/** Undefined where nothing says which row it is. */
function keyOf(table: RandomTable, row: Row): string | undefined {
  return table.key.length === 0 ? undefined : comparable(table, table.key, row);
}

/** The same for values that PostgreSQL compares as equal; undefined if one of them is NULL. */
function comparable({columns}: RandomTable, names: readonly string[], row: Row): string | undefined {
  const values = names.map((name) => {
    const text = row[name];
    if (text === null || text === undefined) return null;
    switch (columns.find((column) => column.name === name)!.kind) {
      case 'numeric':
        return text.includes('.') ? text.replace(/\.?0+$/u, '') : text;
      case 'float8':
        return text === '-0' ? '0' : text;
      case 'citext':
        return text.toLowerCase();
      default:
        return text;
    }
  });
  return values.includes(null) ? undefined : JSON.stringify(values);
}

/**
 * Inserts the rows into new tables. Checks that are NOT VALID hold for rows that are written.
 * @returns all of their columns, undefined if the server refuses them
 */
async function tried(
  client: pg.Client,
  {create, references}: RandomTables,
  of: {rows: Rows; alterations: readonly string[]; isUnwritten: (table: string, row: Row) => boolean},
): Promise<Rows | undefined> {
  const {rows, alterations, isUnwritten} = of;
  const isCheck = (sql: string) => sql.endsWith('NOT VALID');
  const named = [...rows.keys()].map((name) => ({name}) as RandomTable);
  const insertAll = async (isWanted: typeof isUnwritten) => {
    for (const [table, list] of rows) {
      const some = list.filter((row) => isWanted(table, row));
      await insert(client, table, some);
    }
  };
  await client.query('BEGIN; CREATE SCHEMA model; SET LOCAL search_path = model');
  try {
    for (const sql of [...create, ...alterations.filter((one) => !isCheck(one))]) await client.query(sql);
    await insertAll(isUnwritten);
    // Deferred constraints of these rows would keep a table from being altered.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED');
    for (const sql of alterations.filter(isCheck)) await client.query(sql);
    await insertAll((table, row) => !isUnwritten(table, row));
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    for (const sql of references) await client.query(sql);
    return await rowsOf(client, named, 'model');
  } catch (error) {
    if (!String((error as {code?: string}).code).startsWith('23')) throw error;
    return undefined;
  } finally {
    await client.query('ROLLBACK');
  }
}

async function insert(client: pg.Client, table: string, rows: readonly Row[]): Promise<void> {
  const {rows: columns} = await client.query<{attname: string}>(
    `SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = ''
      AND NOT attisdropped`,
    [`model.${quoted(table)}`],
  );
  for (const row of rows) {
    const set = columns.map(({attname}) => attname).filter((name) => row[name] !== undefined);
    const marks = set.map((_, at) => `$${at + 1}`).join(', ');
    await client.query(
      `INSERT INTO model.${quoted(table)} (${set.map(quoted).join(', ')}) OVERRIDING SYSTEM VALUE
        VALUES (${marks})`,
      set.map((name) => row[name]),
    );
  }
}

/** Whether rows that refer to one that goes, or gets another value, would change with it. */
function moves(
  tables: readonly RandomTable[],
  child: RandomTable,
  {columns, parent: name, parentColumns, onDelete, onUpdate}: Reference,
  now: Rows,
  wanted: Rows,
): boolean {
  const parent = tables.find((table) => table.name === name)!;
  const referred = new Set(now.get(child.name)!.map((row) => valueIn(parent, parentColumns, columns, row)));
  const left = new Map(wanted.get(name)!.map((row) => [keyOf(parent, row), row]));
  return now.get(name)!.some((row) => {
    const value = comparable(parent, parentColumns, row);
    if (value === undefined || !referred.has(value)) return false;
    const after = left.get(keyOf(parent, row));
    if (after === undefined) return isAction(onDelete);
    return isAction(onUpdate) && parentColumns.some((column) => after[column] !== row[column]);
  });
}

/** Whether rows that stay will refer to one that gets other bytes, and would get others than they are to have. */
function rewrites(
  tables: readonly RandomTable[],
  child: RandomTable,
  {columns, parent: name, parentColumns, onUpdate}: Reference,
  now: Rows,
  wanted: Rows,
): boolean {
  if (!isAction(onUpdate)) return false;
  const parent = tables.find((table) => table.name === name)!;
  const living = byKey(child, now.get(child.name)!);
  const stay = wanted.get(child.name)!.filter((row) => living.has(keyOf(child, row)!));
  const left = byKey(parent, wanted.get(name)!);
  return now.get(name)!.some((row) => {
    const after = left.get(keyOf(parent, row)!);
    if (after === undefined || parentColumns.every((column) => after[column] === row[column])) return false;
    const value = comparable(parent, parentColumns, row);
    const referring = stay.filter(
      (one) => value !== undefined && valueIn(parent, parentColumns, columns, one) === value,
    );
    if (onUpdate !== 'CASCADE') return referring.length > 0;
    return referring.some((one) => columns.some((column, at) => one[column] !== after[parentColumns[at]!]));
  });
}

const isAction = (action: string) => action !== 'NO ACTION' && action !== 'RESTRICT';

const valueIn = (parent: RandomTable, names: readonly string[], columns: readonly string[], row: Row) =>
  comparable(parent, names, Object.fromEntries(names.map((name, at) => [name, row[columns[at]!]!])));

/** Whether a row has a unique value afterwards that another one, which stays or goes, has now. */
function exchanges(table: RandomTable, now: readonly Row[], wanted: readonly Row[]): boolean {
  return table.uniques.some((unique) => {
    const before = new Map(now.map((row) => [comparable(table, unique, row), keyOf(table, row)]));
    return wanted.some((row) => {
      const value = comparable(table, unique, row);
      return value !== undefined && before.has(value) && before.get(value) !== keyOf(table, row);
    });
  });
}
