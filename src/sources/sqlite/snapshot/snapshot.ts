import {BkpError} from '../../../errors/index.ts';
import type {
  BaseStream,
  DatabaseFacts,
  DeltaStream,
  Mark,
  SchemaObject,
  Snapshot,
  SnapshotOptions,
  TableName,
  TableSchema,
} from '../../source.ts';
import {findTable} from '../catalog/catalog.ts';
import {lastWriter} from '../engine/check-file.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {BaseRows} from '../rows/base-rows.ts';
import {rowsWithNullKey} from '../rows/null-keys.ts';
import {rowShape, SegmentMaker} from '../rows/segment.ts';
import {readObjects} from '../schema/objects.ts';
import {trackingObstacle} from '../schema/obstacles.ts';
import {databaseFacts, fingerprintOf, tableSchema} from '../schema/schema.ts';
import {affinity, type Table} from '../schema/table.ts';
import {deltaOf, unknownKeys} from '../tracking/delta.ts';
import {ensureTracking, logReachesTo, markedAt, setMark, trackingFault} from '../tracking/tracking.ts';
import {logName} from '../triggers/triggers.ts';

/** Rows that are looked at to say how large the others are. */
const sampleRows = 5000;
const takeFull = 'take a new full backup: it starts a new chain';

/**
 * Marks the log where tracking is wanted, then opens one read transaction and looks again: what it sees is what the
 * backup holds, and a schema that changed in between is noticed.
 */
export function openSnapshot(connection: Connection, options: SnapshotOptions): Snapshot {
  const {track, since, notice, whole = []} = options;
  const tracked = (tables: readonly Table[]) => tables.filter(({name}) => !whole.includes(name));
  let mark: Mark | undefined;
  const writtenBy = lastWriter(connection.path);
  if (track !== undefined) {
    mark = withConnection(connection.path, {}, (writer) =>
      writer.write(() => {
        const tables = tracked(readTables(writer, options.tables));
        if (since !== undefined) requireUnbroken(writer, tables, since);
        for (const table of tables) requireTrackable(table);
        // Those of an increment had them when the chain began, and the schema is the same.
        if (since === undefined) for (const table of tables) requireKeyTypes(writer, table);
        ensureTracking(writer, tables);
        return setMark(writer, track.owner, tables);
      }),
    );
  }
  if (connection.value('PRAGMA main.journal_mode') !== 'wal') {
    notice?.(
      'the database is not in WAL mode: whoever writes waits while this backup reads; PRAGMA journal_mode = WAL changes that',
    );
  }
  connection.exec('BEGIN');
  try {
    const tables = readTables(connection, options.tables);
    if (since !== undefined) requireUnbroken(connection, tracked(tables), since);
    else for (const table of tables) requireDistinctKeys(connection, table);
    if (track !== undefined) requireTracked(connection, tracked(tables), track.owner, mark!);
    return new SqliteSnapshot(connection, tables, mark, {...options, writtenBy});
  } catch (error) {
    connection.rollback();
    throw error;
  }
}

class SqliteSnapshot implements Snapshot {
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  readonly objects: readonly SchemaObject[];
  readonly database: DatabaseFacts;
  readonly #connection: Connection;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #owner: string | undefined;
  readonly #notice: SnapshotOptions['notice'];
  readonly #counts = new Map<TableName, number>();
  readonly #maker: SegmentMaker;

  constructor(
    connection: Connection,
    tables: readonly Table[],
    mark: Mark | undefined,
    options: SnapshotOptions & {writtenBy: number | undefined},
  ) {
    this.mark = mark;
    this.#connection = connection;
    this.#owner = options.since?.owner;
    this.#notice = options.notice;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.objects = options.objects === true ? readObjects(connection) : [];
    this.database = databaseFacts(connection, options.writtenBy);
    this.schemas = tables.map((table) => tableSchema(connection, table, {omitIndexes: options.omitIndexes ?? false}));
    this.#maker = new SegmentMaker(connection);
  }

  async estimatedBytes(table: TableName): Promise<number> {
    const shape = rowShape(this.#table(table));
    const insert = `${shape.insert} FROM main.${quoteName(table)} AS t LIMIT ?`;
    const sample = this.#maker.make({create: shape.create, insert, params: []}, sampleRows);
    return sample.rows === 0 ? 0 : Math.round((this.#count(table) * sample.bytes.byteLength) / sample.rows);
  }

  async countRows(table: TableName): Promise<number> {
    return this.#count(table);
  }

  #count(table: TableName): number {
    const known = this.#counts.get(table);
    if (known !== undefined) return known;
    const count = this.#connection.number(`SELECT count(*) FROM main.${quoteName(this.#table(table).name)}`);
    this.#counts.set(table, count);
    return count;
  }

  rows(table: TableName, previous?: string): BaseStream {
    const [connection, maker, found] = [this.#connection, this.#maker, this.#table(table)];
    const nobody = (async function* () {})();
    // Counting is cheaper than looking for rows with a NULL in their key, which most tables have none of.
    const rest = (ordered: number) =>
      ordered === this.#count(table) ? nobody : rowsWithNullKey(connection, maker, found);
    return new BaseRows({connection, maker, table: found, previous, rest, total: () => this.#count(table)});
  }

  async changes(table: TableName, since: Mark): Promise<DeltaStream | 'rebase'> {
    const seq = this.#owner === undefined ? undefined : markedAt(this.#connection, this.#owner, since, table);
    if (seq === undefined) throw unknownMark(table);
    const unknown = unknownKeys(this.#connection, this.#table(table), seq);
    if (unknown !== undefined) {
      this.#notice?.(`all rows of ${table} are taken: ${unknown}`);
      return 'rebase';
    }
    return deltaOf(this.#connection, this.#maker, this.#table(table), seq);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #table(name: TableName): Table {
    return this.#tables.get(name)!;
  }
}

function readTables(connection: Connection, names: readonly TableName[]): readonly Table[] {
  return names.map((name) => {
    const found = findTable(connection, name);
    if (found.kind === 'table') return found.table;
    throw new BkpError('TABLE_NOT_FOUND', `table ${name} does not exist any more`, {
      next: 'give the statement again',
      context: {table: name},
    });
  });
}

function requireTrackable(table: Table): void {
  const obstacle = trackingObstacle(table);
  if (obstacle === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${table.name} cannot have incremental backups`, {
    cause: obstacle,
    next: 'back it up in a collection without INCREMENTAL_BACKUP_ENABLED',
    context: {table: table.name},
  });
}

/**
 * The rows of a table WITHOUT ROWID are in the tree of its key, which no table can have that takes two of them for one: an
 * edit of the schema gave the key a coarser collation. Sorting them all is only needed where that can be.
 */
function requireDistinctKeys(connection: Connection, {name, key, withoutRowid}: Table): void {
  if (!withoutRowid || key.kind === 'rowid') return;
  if (key.parts.every(({collation}) => foldName(collation) === 'binary')) return;
  // Without the + SQLite would take the tree to be in order.
  const parts = key.parts.map(({column, collation}) => `+${quoteName(column)} COLLATE ${quoteName(collation)}`);
  const twice = `SELECT 1 FROM main.${quoteName(name)} GROUP BY ${parts.join(', ')} HAVING count(*) > 1 LIMIT 1`;
  if (connection.get(twice) === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${name} cannot be in a collection`, {
    cause: 'its primary key holds values that its own collation takes for the same, from before an edit of the schema',
    next: 'only a copy of the whole file holds it, which BACKUP DATABASE makes',
    context: {table: name},
  });
}

/**
 * A key is logged, compared and found as its column would store it. A column whose type was changed by an edit of the
 * schema can hold what it would store otherwise: '5' in an INTEGER, 5 in a TEXT.
 */
function requireKeyTypes(connection: Connection, table: Table): void {
  if (table.key.kind === 'rowid') return;
  const otherwise = table.key.parts.flatMap((part) => {
    const column = table.columns.find(({name}) => name === part.column)!;
    const name = quoteName(column.name);
    switch (affinity(table, column)) {
      case 'BLOB':
        return [];
      case 'TEXT':
        return [`typeof(${name}) IN ('integer', 'real')`];
      default:
        // With the column's affinity a text that looks like a number equals it.
        return [`(typeof(${name}) = 'text' AND ${name} = ${name} + 0)`];
    }
  });
  if (otherwise.length === 0) return;
  const query = `SELECT 1 FROM main.${quoteName(table.name)} WHERE ${otherwise.join(' OR ')} LIMIT 1`;
  if (connection.get(query) === undefined) return;
  throw new BkpError('UNSUPPORTED', `table ${table.name} cannot have incremental backups`, {
    cause: 'its primary key holds values of another type than its columns store, from before an edit of the schema',
    next: 'back it up in a collection without INCREMENTAL_BACKUP_ENABLED, or store these keys anew: UPDATE … SET key = key',
    context: {table: table.name},
  });
}

/** @throws BkpError `CHAIN_BROKEN` */
function requireUnbroken(
  connection: Connection,
  tables: readonly Table[],
  since: NonNullable<SnapshotOptions['since']>,
): void {
  for (const table of tables) {
    if (fingerprintOf(table) !== since.fingerprints[table.name]) {
      throw broken(`the columns of table ${table.name} are not those of the backup before`, table.name);
    }
    const fault = trackingFault(connection, table);
    if (fault !== undefined)
      throw broken(`changes of table ${table.name} were not tracked all the time: ${fault}`, table.name);
    const seq = markedAt(connection, since.owner, since.mark, table.name);
    if (seq === undefined) throw unknownMark(table.name);
    if (!logReachesTo(connection, table.name, seq))
      throw broken(`the change log ${logName(table.name)} has lost rows`, table.name);
  }
}

/** The schema may have changed between the mark and the snapshot. */
function requireTracked(connection: Connection, tables: readonly Table[], owner: string, mark: Mark): void {
  for (const table of tables) {
    const whole =
      trackingFault(connection, table) === undefined && markedAt(connection, owner, mark, table.name) !== undefined;
    if (!whole)
      throw broken(`table ${table.name} was changed (ALTER, DROP, CREATE) while its backup began`, table.name);
  }
}

function unknownMark(table: TableName): BkpError {
  return broken(
    `this database does not know the backup before: it was replaced by another one or by an older copy, or table ${table} was made anew`,
    table,
  );
}

function broken(message: string, table: TableName): BkpError {
  return new BkpError('CHAIN_BROKEN', message, {next: takeFull, context: {table}});
}
