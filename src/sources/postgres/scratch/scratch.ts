import {rmSync} from 'node:fs';
import {assert, BkpError} from '../../../errors/index.ts';
import type {
  BaseCuts,
  KeyCondition,
  RowChange,
  RowCounts,
  ScratchOptions,
  ScratchTables,
  StoredRow,
  StoredValue,
} from '../../scratch.ts';
import type {DatabaseFacts, TableName, TableSchema} from '../../source.ts';
import {Connection} from '../../sqlite/engine/connection.ts';
import {quoteName} from '../../sqlite/engine/quote.ts';
import {integerRanges, segmentsWhere, segmentsWith} from './key-segments.ts';
import {countFields, fieldsOf, linesOf} from './lines.ts';
import {scriptOf} from './script.ts';
import {type ScratchTable, schemaChanges, scratchTableOf} from './stored-table.ts';
import {affinityOf, comparable, exact, keyText} from './values.ts';

type Loaded = ScratchTable & {
  schema: TableSchema;
  /** Of the table that a SELECT reads. */
  visible: string;
  /** Of the table with the same rowids that has each row as it is in the backup, and its key. */
  exact: string;
  names: readonly string[];
};

/**
 * Tables of PostgreSQL in an SQLite file: for a SELECT with values that SQLite can compare, and beside them each row as
 * COPY wrote it, for everything that must be exact.
 */
export class PostgresScratch implements ScratchTables {
  readonly path: string;
  readonly #database: DatabaseFacts;
  readonly #tables: ReadonlyMap<TableName, Loaded>;
  #connection: Connection | undefined;

  constructor({path, schemas, database}: ScratchOptions) {
    this.path = path;
    this.#database = database;
    this.#tables = new Map(
      schemas.map((schema, at) => {
        const table = scratchTableOf(schema);
        return [schema.name, {...table, schema, visible: schema.name, exact: `_bkp_rows_${at}`, names: namesOf(table)}];
      }),
    );
    this.#connection = new Connection(path, {create: true});
    this.#connection.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
    for (const {visible, exact: rows, columns, names} of this.#tables.values()) {
      const list = columns.map((column, at) => `${quoteName(names[at]!)} ${affinityOf(column)}`);
      // A table of PostgreSQL may have no column.
      const declared = list.length === 0 ? '"" TEXT' : list.join(', ');
      this.#connection.exec(
        `CREATE TABLE ${quoteName(visible)} (${declared});
         CREATE TABLE ${rows} (id INTEGER PRIMARY KEY, k TEXT, line BLOB NOT NULL)`,
      );
    }
  }

  empty(): Uint8Array {
    return this.#opened().serialize('main');
  }

  segmentsWhere(name: TableName, base: BaseCuts, conditions: readonly KeyCondition[]): readonly number[] | undefined {
    const table = this.#table(name);
    const ranges = integerRanges(table, base);
    return ranges && segmentsWhere(table, ranges, conditions);
  }

  segmentsOf(name: TableName, base: BaseCuts, keys: Uint8Array): readonly number[] | undefined {
    const ranges = integerRanges(this.#table(name), base);
    if (ranges === undefined) return undefined;
    const parts: bigint[] = [];
    for (const line of linesOf(keys)) {
      const [first] = fieldsOf(line);
      if (first === undefined || !/^-?\d+$/u.test(first)) return undefined;
      parts.push(BigInt(first));
    }
    return segmentsWith(ranges, parts);
  }

  /** A backup of PostgreSQL holds no indexes. */
  entriesOf(): undefined {
    return undefined;
  }

  segmentsOfEntries(): undefined {
    return undefined;
  }

  async loadTree(table: TableName): Promise<void> {
    throw new BkpError('OBJECT_DAMAGED', `table ${table} of PostgreSQL has no records of SQLite`);
  }

  async load(name: TableName, segment: Uint8Array): Promise<number> {
    const table = this.#table(name);
    const {columns, visible, exact: rows} = table;
    const connection = this.#opened();
    const places = columns.length === 0 ? 'NULL' : columns.map(() => '?').join(', ');
    let count = 0;
    connection.exec('BEGIN');
    try {
      for (const line of linesOf(segment)) {
        const fields = columns.length === 0 ? [] : fieldsOf(line);
        if (fields.length !== columns.length) throw damaged(name, countFields(line), columns.length);
        connection.run(`INSERT INTO ${rows} (k, line) VALUES (?, ?)`, keyOf(table, fields) ?? null, Buffer.from(line));
        connection.run(
          `INSERT INTO ${quoteName(visible)} (rowid, ${columns.length === 0 ? '""' : this.#list(table)})
            VALUES (last_insert_rowid(), ${places})`,
          ...columns.map((column, at) => comparable(column, fields[at])),
        );
        count += 1;
      }
      connection.exec('COMMIT');
    } catch (error) {
      connection.rollback();
      throw error;
    }
    return count;
  }

  async removeKeys(name: TableName, segment: Uint8Array): Promise<number> {
    const table = this.#table(name);
    const {exact: rows, visible} = table;
    const connection = this.#opened();
    connection.exec(`CREATE INDEX IF NOT EXISTS ${rows}_k ON ${rows} (k)`);
    let count = 0;
    connection.exec('BEGIN');
    try {
      for (const line of linesOf(segment)) {
        const key = keyOf(table, fieldsOf(line));
        if (key === undefined) throw unknownEquality(table);
        connection.run(`DELETE FROM ${quoteName(visible)} WHERE rowid IN (SELECT id FROM ${rows} WHERE k = ?)`, key);
        connection.run(`DELETE FROM ${rows} WHERE k = ?`, key);
        count += 1;
      }
      connection.exec('COMMIT');
    } catch (error) {
      connection.rollback();
      throw error;
    }
    return count;
  }

  async finish(): Promise<void> {
    for (const {exact: rows} of this.#tables.values()) {
      this.#opened().exec(`CREATE INDEX IF NOT EXISTS ${rows}_k ON ${rows} (k)`);
    }
    this.#connection?.close();
    this.#connection = undefined;
  }

  keepsRowids(): boolean {
    return false;
  }

  columns(name: TableName): readonly string[] {
    return this.#table(name).columns.map((column) => column.name);
  }

  *rows(name: TableName): Iterable<readonly StoredValue[]> {
    const table = this.#table(name);
    for (const line of this.#lines(table)) yield valuesOf(table, line);
  }

  countRows(name: TableName): number {
    return this.#opened().number(`SELECT count(*) FROM ${this.#table(name).exact}`);
  }

  hasSameKey(other: ScratchTables, name: TableName): boolean {
    const [one, two] = [this.#table(name), PostgresScratch.#of(other).#table(name)];
    const text = (table: Loaded) => JSON.stringify(table.columns.slice(0, table.keyParts));
    // Rows without a key are compared as they are.
    const isKeyed =
      one.keyParts > 0 && one.columns.slice(0, one.keyParts).every((part) => keyText(part, '0') !== undefined);
    return text(one) === text(two) && (isKeyed || sameColumns(one, two));
  }

  schemaChanges(other: ScratchTables, name: TableName): readonly string[] {
    return schemaChanges(this.#table(name).schema, PostgresScratch.#of(other).#table(name).schema);
  }

  differences(other: ScratchTables, name: TableName): RowCounts {
    const counts = {added: 0, changed: 0, deleted: 0};
    for (const {kind} of this.changes(other, name)) counts[kind] += 1;
    return counts;
  }

  *changes(other: ScratchTables, name: TableName): Iterable<RowChange> {
    const [before, after] = [this.#table(name), PostgresScratch.#of(other).#table(name)];
    const connection = new Connection(this.path);
    try {
      connection.run('ATTACH ? AS other', other.path);
      const [a, b] = [`main.${before.exact}`, `other.${after.exact}`];
      const row = (table: Loaded, line: unknown) => rowOf(table, line as Uint8Array);
      const pairs = `SELECT a.line, b.line FROM ${a} a JOIN ${b} b ON b.k = a.k WHERE a.line <> b.line`;
      const isOther = sameColumns(before, after) ? () => true : differsIn(before, after);
      for (const [old, now] of connection.iterate(pairs)) {
        const change = {row: row(after, now), before: row(before, old)};
        if (isOther(change.before, change.row)) yield {kind: 'changed', ...change};
      }
      const only = (from: string, to: string) =>
        `SELECT x.line FROM ${from} x WHERE x.k IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${to} y WHERE y.k = x.k)`;
      for (const [line] of connection.iterate(only(a, b))) yield {kind: 'deleted', row: row(before, line)};
      for (const [line] of connection.iterate(only(b, a))) yield {kind: 'added', row: row(after, line)};
      const loose = `SELECT line, sum(n) FROM (SELECT line, -1 AS n FROM ${a} WHERE k IS NULL
        UNION ALL SELECT line, 1 FROM ${b} WHERE k IS NULL) GROUP BY line HAVING sum(n) <> 0`;
      for (const [line, times] of connection.iterate(loose)) {
        const kind = Number(times) > 0 ? 'added' : 'deleted';
        for (let n = Math.abs(Number(times)); n > 0; n--)
          yield {kind, row: row(kind === 'added' ? after : before, line)};
      }
    } finally {
      connection.close();
    }
  }

  *script(): Iterable<string | Uint8Array> {
    const tables = [...this.#tables.values()];
    yield* scriptOf(
      {schemas: tables.map(({schema}) => schema), database: this.#database},
      {
        columns: (name) => this.columns(name),
        lines: (name) => this.#lines(this.#table(name)),
      },
    );
  }

  async discard(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    rmSync(this.path, {force: true});
  }

  *#lines(table: Loaded): Generator<Uint8Array> {
    const {exact: rows, visible, names, keyParts} = table;
    const order = names.slice(0, keyParts).map((name) => `t.${quoteName(name)}`);
    const sql = `SELECT r.line FROM ${rows} r JOIN ${quoteName(visible)} t ON t.rowid = r.id
      ORDER BY ${[...order, 'r.id'].join(', ')}`;
    for (const [line] of this.#opened().iterate(sql)) yield line as Uint8Array;
  }

  #list({names}: Loaded): string {
    return names.map((name) => quoteName(name)).join(', ');
  }

  #opened(): Connection {
    this.#connection ??= new Connection(this.path);
    return this.#connection;
  }

  #table(name: TableName): Loaded {
    return this.#tables.get(name)!;
  }

  /** Both files are of one database system. */
  static #of(scratch: ScratchTables): PostgresScratch {
    assert(scratch instanceof PostgresScratch, 'tables of PostgreSQL are compared with tables of PostgreSQL');
    return scratch;
  }
}

/** Names of SQLite's columns, which differ in more than the case of their letters. */
function namesOf({columns}: ScratchTable): readonly string[] {
  const taken = new Set<string>();
  return columns.map(({name}) => {
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number++) free = `${name}_${number}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

/** Equal for equal keys; undefined without a key, and where only the server knows which are equal. */
function keyOf({columns, keyParts}: ScratchTable, fields: readonly (string | undefined)[]): string | undefined {
  if (keyParts === 0) return undefined;
  const parts: string[] = [];
  for (const [at, column] of columns.slice(0, keyParts).entries()) {
    const field = fields[at];
    const text = field === undefined ? undefined : keyText(column, field);
    if (text === undefined) return undefined;
    parts.push(text);
  }
  return JSON.stringify(parts);
}

const valuesOf = ({columns}: ScratchTable, line: Uint8Array): readonly StoredValue[] => {
  const fields = columns.length === 0 ? [] : fieldsOf(line);
  return columns.map((column, at) => exact(column, fields[at]));
};

function rowOf(table: ScratchTable, line: Uint8Array): StoredRow {
  const values = valuesOf(table, line);
  return new Map(table.columns.map(({name}, at) => [name, values[at] ?? null]));
}

const sameColumns = (one: ScratchTable, other: ScratchTable) =>
  JSON.stringify(one.columns) === JSON.stringify(other.columns);

/** Whether two rows differ in a column that both tables have. */
function differsIn(before: ScratchTable, after: ScratchTable) {
  const both = before.columns.filter(({name}) => after.columns.some((column) => column.name === name));
  const text = (value: StoredValue | undefined) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : JSON.stringify(typeof value === 'bigint' ? {digits: String(value)} : (value ?? null));
  return (old: StoredRow, now: StoredRow) => both.some(({name}) => text(old.get(name)) !== text(now.get(name)));
}

function damaged(table: string, found: number, expected: number): BkpError {
  return new BkpError('OBJECT_DAMAGED', `a row of ${table} has ${found} values instead of ${expected}`);
}

function unknownEquality({name, columns, keyParts}: ScratchTable): BkpError {
  const [odd] = columns.slice(0, keyParts).filter((column) => keyText(column, '0') === undefined);
  return new BkpError(
    'UNSUPPORTED',
    `${name} has changes by a key of type ${odd?.type}, which only a server compares`,
    {
      next: "restore it beside the living tables: RESTORE … INTO SCHEMA 'restored'",
      context: {table: name},
    },
  );
}
