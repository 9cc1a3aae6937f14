import type {
  BaseOptions,
  BaseStream,
  DatabaseFacts,
  DeltaStream,
  Mark,
  SchemaObject,
  Snapshot,
  SnapshotOptions,
  TableBase,
  TableName,
  TableSchema,
} from '../../source.ts';
import {lastWriter} from '../engine/check-file.ts';
import {type Connection, withConnection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';
import {writersWait} from '../engine/writers-wait.ts';
import {openReading, type Reading} from '../image/image.ts';
import {BaseRows} from '../rows/base-rows.ts';
import {rowsWithNullKey} from '../rows/null-keys.ts';
import {rowShape, SegmentMaker} from '../rows/segment.ts';
import {readObjects} from '../schema/objects.ts';
import {databaseFacts, tableSchema} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {deltaOf, unknownKeys} from '../tracking/delta.ts';
import {markedAt, setMark} from '../tracking/marks.ts';
import {ensureTracking} from '../tracking/tracking.ts';
import {PageRecords} from './page-records.ts';
import {
  readTables,
  requireDistinctKeys,
  requireKeyTypes,
  requireTrackable,
  requireTracked,
  requireUnbroken,
  unknownMark,
} from './requirements.ts';

/** Size of the sample that `estimatedBytes` is computed from. */
const sampleRows = 5000;

/**
 * Marks the log if changes are to be tracked, then opens one read transaction, whose view is the backup's
 * content, and checks again: so a schema that changed in between is detected.
 */
export async function openSnapshot(path: string, options: SnapshotOptions): Promise<Snapshot> {
  const {track, since, notice, whole = []} = options;
  const tracked = (tables: readonly Table[]) => tables.filter(({name}) => !whole.includes(name));
  let mark: Mark | undefined;
  const writtenBy = lastWriter(path);
  if (track !== undefined) {
    mark = withConnection(path, {}, (writer) =>
      writer.write(() => {
        const tables = tracked(readTables(writer, options.tables));
        if (since !== undefined) requireUnbroken(writer, tables, since);
        for (const table of tables) requireTrackable(table);
        // For an increment this was checked when the chain began, and the schema is still the same.
        if (since === undefined) for (const table of tables) requireKeyTypes(writer, table);
        ensureTracking(writer, tables);
        return setMark(writer, track.owner, tables);
      }),
    );
  }
  const reading = await openReading(path, {signal: options.signal});
  try {
    const {connection} = reading;
    if (reading.mode !== 'wal') notice?.(writersWait);
    const tables = readTables(connection, options.tables);
    if (since !== undefined) requireUnbroken(connection, tracked(tables), since);
    else for (const table of tables) requireDistinctKeys(connection, table);
    if (track !== undefined) requireTracked(connection, tracked(tables), track.owner, mark!);
    if (options.omitIndexes) reportOmitted(tables, notice);
    return new SqliteSnapshot(reading, tables, mark, {...options, writtenBy});
  } catch (error) {
    reading.close();
    throw error;
  }
}

function reportOmitted(tables: readonly Table[], notice: SnapshotOptions['notice']): void {
  const unique = tables.flatMap(({name, indexes}) =>
    indexes.filter(({sql}) => /^CREATE\s+UNIQUE\b/i.test(sql)).map((index) => `${index.name} of ${name}`),
  );
  if (unique.length === 0) return;
  notice?.(
    `OMIT_INDEXES leaves out UNIQUE indexes too: a restored copy accepts duplicates until they are created again: ` +
      unique.join(', '),
  );
}

class SqliteSnapshot implements Snapshot {
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  readonly objects: readonly SchemaObject[];
  readonly database: DatabaseFacts;
  readonly #reading: Reading;
  readonly #connection: Connection;
  readonly #tables: ReadonlyMap<TableName, Table>;
  readonly #owner: string | undefined;
  readonly #notice: SnapshotOptions['notice'];
  readonly #counts = new Map<TableName, number>();
  readonly #maker: SegmentMaker;
  readonly #records: PageRecords;

  constructor(
    reading: Reading,
    tables: readonly Table[],
    mark: Mark | undefined,
    options: SnapshotOptions & {writtenBy: number | undefined},
  ) {
    const {connection} = reading;
    this.mark = mark;
    this.#reading = reading;
    this.#connection = connection;
    this.#owner = options.since?.owner;
    this.#notice = options.notice;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.objects = options.objects === true ? readObjects(connection) : [];
    this.database = databaseFacts(connection, options.writtenBy);
    this.schemas = tables.map((table) => tableSchema(connection, table, {omitIndexes: options.omitIndexes ?? false}));
    this.#maker = new SegmentMaker(connection);
    this.#records = new PageRecords(reading, {path: connection.path, omitIndexes: options.omitIndexes ?? false});
  }

  async estimatedBytes(table: TableName): Promise<number> {
    const records = await this.#records.estimatedBytes(this.#table(table));
    if (records !== undefined) return records;
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

  async base(table: TableName, {previous, form}: BaseOptions = {}): Promise<TableBase> {
    const records = form === 'rows' ? undefined : await this.#records.base(this.#table(table), previous);
    if (records !== undefined && 'trees' in records) return records;
    return {form: 'rows', rows: this.#rows(table, previous?.get(table)), reason: records?.reason};
  }

  #rows(table: TableName, previous: string | undefined): BaseStream {
    const [connection, maker, found] = [this.#connection, this.#maker, this.#table(table)];
    const none = (async function* () {})();
    // Counting is cheaper than searching for rows with a NULL in their key, which most tables do not have.
    const rest = (ordered: number) =>
      ordered === this.#count(table) ? none : rowsWithNullKey(connection, maker, found);
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

  async confirm(): Promise<void> {
    await this.#reading.confirm();
  }

  async close(): Promise<void> {
    await this.#records.close();
    this.#reading.close();
  }

  #table(name: TableName): Table {
    return this.#tables.get(name)!;
  }
}
