import {assert} from '../../../errors/index.ts';
import type {
  BaseCuts,
  IndexCuts,
  KeyCondition,
  RowChange,
  RowCounts,
  ScratchOptions,
  ScratchTables,
  StoredValue,
  WantedRows,
} from '../../scratch.ts';
import type {StoredBase, TableName, TableSchema, Tree} from '../../source.ts';
import {Connection, withConnection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {SqliteStaging} from '../restore/staging.ts';
import {keyOrder} from '../rows/boundary.ts';
import {definitionOf, type KeptFacts} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {changesBetween, countChanges, haveSameKey} from './compare.ts';
import {indexTree, KeySegments, ownKeyTree} from './key-segments.ts';
import {RowSegments} from './row-segments.ts';
import {intervalsWhere, rowidSegments} from './rowid-segments.ts';
import {schemaChanges} from './schema-changes.ts';
import {statementTree} from './statement-tree.ts';

/** See {@link ScratchTables}. Loads as a restore does, without indexes but those of constraints. */
export class SqliteScratch implements ScratchTables {
  readonly path: string;
  readonly #staging: SqliteStaging;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #schemas: ReadonlyMap<TableName, TableSchema>;
  #connection: Connection | undefined;

  constructor({path, schemas, database, bases}: ScratchOptions) {
    this.path = path;
    this.#staging = new SqliteStaging(path, path, {
      schemas: schemas.map(withoutExtras),
      objects: [],
      published: new Map(),
      facts: database as KeptFacts,
      bases: new Map([...bases].map(([table, base]) => [table, ownTree(base)])),
    });
    this.#schemas = new Map(schemas.map((schema) => [schema.name, schema]));
    this.#tables = new Map(schemas.map(({name}) => [name, this.#staging.tableOf(name)]));
  }

  empty(): Uint8Array {
    return this.#staging.connection.serialize('main');
  }

  segmentsWhere(
    name: TableName,
    {form, cuts, segments}: BaseCuts,
    conditions: readonly KeyCondition[],
  ): readonly number[] | undefined {
    const table = this.#table(name);
    const {connection} = this.#staging;
    if (form === 'rows') return RowSegments.of(connection, table, cuts, segments)?.where(conditions);
    if (table.withoutRowid) {
      const tree = ownKeyTree(connection, table);
      return tree && KeySegments.of(connection, {table, tree, cuts, segments})?.where(conditions);
    }
    const intervals = intervalsWhere(table, conditions);
    return intervals && rowidSegments(cuts, segments)?.within(intervals);
  }

  segmentsOf(name: TableName, {form, cuts, segments}: BaseCuts, keys: Uint8Array): readonly number[] | undefined {
    const table = this.#table(name);
    return this.#withKeys(keys, (connection) => {
      if (form === 'rows') return RowSegments.of(connection, table, cuts, segments)?.of();
      if (table.withoutRowid) {
        const tree = ownKeyTree(connection, table);
        return tree && KeySegments.of(connection, {table, tree, cuts, segments})?.of();
      }
      const ranges = table.key.kind === 'rowid' ? rowidSegments(cuts, segments) : undefined;
      if (ranges === undefined) return undefined;
      const found = new Set<number>();
      for (const {k0} of connection.all('SELECT k0 FROM seg.keys')) {
        if (typeof k0 !== 'bigint') return undefined;
        found.add(ranges.of(k0));
      }
      return ranges.existing(found);
    });
  }

  entriesOf(name: TableName, index: IndexCuts, wanted: WantedRows): readonly number[] | undefined {
    const found = this.#indexSegments(name, index);
    if (found === undefined) return undefined;
    if ('conditions' in wanted) return found.where(wanted.conditions);
    return found.isOf(this.#table(name).key) ? this.#withKeys(wanted.keys, () => found.of()) : undefined;
  }

  segmentsOfEntries(
    name: TableName,
    {cuts, segments}: BaseCuts,
    {entries, ...index}: IndexCuts & {entries: readonly Uint8Array[]},
    wanted: WantedRows,
  ): readonly number[] | undefined {
    const ranges = rowidSegments(cuts, segments);
    const found = this.#indexSegments(name, index);
    if (ranges === undefined || found === undefined) return undefined;
    const rowids = () => found.rowidsIn(entries, 'conditions' in wanted ? wanted.conditions : 'keys');
    const all = 'conditions' in wanted ? rowids() : this.#withKeys(wanted.keys, rowids);
    return all && ranges.existing(new Set(all.map((rowid) => ranges.of(rowid))));
  }

  /** Attaches a segment of keys as `seg`. */
  #withKeys<T>(keys: Uint8Array, use: (connection: Connection) => T): T {
    const {connection} = this.#staging;
    connection.exec(`ATTACH ':memory:' AS seg`);
    try {
      connection.deserialize('seg', keys);
      return use(connection);
    } finally {
      connection.exec('DETACH seg');
    }
  }

  /** @returns undefined where entries do not end with the rowid of their row, or the index has computed ones */
  #indexSegments(name: TableName, {name: index, fingerprint, cuts, segments}: IndexCuts): KeySegments | undefined {
    const table = this.#table(name);
    if (table.withoutRowid) return undefined;
    const {connection} = this.#staging;
    const tree =
      fingerprint === undefined
        ? indexTree(connection, index)
        : statementTree({table, schema: this.#schemas.get(name)!}, {name: index, fingerprint});
    return tree && KeySegments.of(connection, {table, tree, cuts, segments});
  }

  loadTree(table: TableName, tree: Tree & {records?: number}, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#staging.loadTree(table, tree, chunks);
  }

  load(table: TableName, segment: Uint8Array): Promise<number> {
    return this.#staging.load(table, segment);
  }

  removeKeys(table: TableName, segment: Uint8Array): Promise<number> {
    return this.#staging.removeKeys(table, segment);
  }

  async finish({signal}: {signal: AbortSignal}): Promise<void> {
    // What a restore reports about rows that violate their schema concerns no reader.
    await this.#staging.build({signal, notice: () => {}});
    this.#staging.closeFile();
  }

  keepsRowids(name: TableName): boolean {
    return this.#table(name).key.kind === 'rowid';
  }

  columns(name: TableName): readonly string[] {
    return this.#table(name).columns.map((column) => column.name);
  }

  rows(name: TableName): Iterable<readonly StoredValue[]> {
    const table = this.#table(name);
    const columns = table.columns.map((column) => `t.${quoteName(column.name)}`).join(', ');
    return this.#opened().iterate(
      `SELECT ${columns} FROM main.${quoteName(table.name)} AS t ORDER BY ${keyOrder(table.key)}`,
    );
  }

  countRows(name: TableName): number {
    return this.#opened().number(`SELECT count(*) FROM main.${quoteName(this.#table(name).name)}`);
  }

  hasSameKey(other: ScratchTables, name: TableName): boolean {
    return haveSameKey(this.#table(name), SqliteScratch.#of(other).#table(name));
  }

  schemaChanges(other: ScratchTables, name: TableName): readonly string[] {
    const [before, after] = [this, SqliteScratch.#of(other)];
    return schemaChanges(
      {table: before.#table(name), schema: before.#schemas.get(name)!},
      {table: after.#table(name), schema: after.#schemas.get(name)!},
    );
  }

  differences(other: ScratchTables, name: TableName): RowCounts {
    return this.#beside(other, (connection, there) => countChanges(connection, this.#table(name), there(name)));
  }

  *changes(other: ScratchTables, name: TableName): Iterable<RowChange> {
    const connection = new Connection(this.path);
    try {
      const there = attach(connection, other);
      yield* changesBetween(connection, this.#table(name), there(name));
    } finally {
      connection.close();
    }
  }

  async discard(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    await this.#staging.discard();
  }

  #beside<T>(other: ScratchTables, use: (connection: Connection, there: (name: TableName) => Table) => T): T {
    return withConnection(this.path, {}, (connection) => use(connection, attach(connection, other)));
  }

  #opened(): Connection {
    this.#connection ??= new Connection(this.path);
    return this.#connection;
  }

  #table(name: TableName): Table {
    return this.#tables.get(name)!;
  }

  /** Both files are of one database system. */
  static #of(scratch: ScratchTables): SqliteScratch {
    assert(scratch instanceof SqliteScratch, 'tables of SQLite are compared with tables of SQLite');
    return scratch;
  }

  static tableOf(scratch: ScratchTables, name: TableName): Table {
    return SqliteScratch.#of(scratch).#table(name);
  }
}

/** As the database `other`. @returns its tables */
function attach(connection: Connection, other: ScratchTables): (name: TableName) => Table {
  connection.run('ATTACH ? AS other', other.path);
  return (name) => SqliteScratch.tableOf(other, name);
}

/** Reading needs no other indexes, and no trigger. */
function withoutExtras(schema: TableSchema): TableSchema {
  const {table} = definitionOf(schema);
  return {...schema, definition: {table, indexes: [], triggers: [], sequence: null}};
}

function ownTree({trees, changedKeys}: StoredBase): StoredBase {
  return {trees: trees.slice(0, 1), changedKeys};
}
