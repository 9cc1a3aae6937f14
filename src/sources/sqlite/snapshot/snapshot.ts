import {BkpError} from '../../../errors/index.ts';
import type {
  BaseOptions,
  BaseStream,
  Changes,
  DatabaseFacts,
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
import {otherNames} from '../engine/other-names.ts';
import {quoteName} from '../engine/quote.ts';
import {writersWait} from '../engine/writers-wait.ts';
import {openReading, type Reading} from '../image/image.ts';
import {BaseRows} from '../rows/base-rows.ts';
import {rowsWithNullKey} from '../rows/null-keys.ts';
import {rowShape, SegmentMaker} from '../rows/segment.ts';
import {readObjects} from '../schema/objects.ts';
import {databaseFacts, tableSchema} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {applicationVersion, keepApplicationVersion} from '../tracking/application.ts';
import {changesOf, unknownKeys} from '../tracking/delta.ts';
import {beginMark, confirmMark, markedAt} from '../tracking/marks.ts';
import {isLarge} from '../tracking/may-block.ts';
import {ensureTracking} from '../tracking/tracking.ts';
import {PageRecords} from './page-records.ts';
import {
  readTables,
  requireDistinctKeys,
  requireKeyTypes,
  requireKnownMark,
  requireTrackable,
  untrackedTable,
  whyAllRows,
} from './requirements.ts';

/** Size of the sample that `estimatedBytes` is computed from. */
const sampleRows = 5000;

/** How often a snapshot is tried when another connection changes the schema of its tables meanwhile. */
const tries = 5;

/**
 * Marks the log if changes are to be tracked, then opens one read transaction, whose view is the backup's
 * content, and checks again: so a schema that changed in between is detected.
 */
export async function openSnapshot(path: string, options: SnapshotOptions): Promise<Snapshot> {
  for (let left = tries; left > 0; left--) {
    const snapshot = await tryToOpen(path, options);
    if (snapshot !== undefined) return snapshot;
  }
  throw new BkpError('BUSY', 'the schema of the database changes (ALTER, DROP, CREATE) while the backup begins', {
    next: 'give the statement again when the migration is over',
    retryable: true,
  });
}

/** @returns undefined if the schema changed meanwhile */
async function tryToOpen(path: string, options: SnapshotOptions): Promise<Snapshot | undefined> {
  const {track, notice, omitIndexes = false} = options;
  const last = lastWriter(path);
  const marked =
    track && withConnection(path, {}, (writer) => writer.write(() => markTables(writer, options, track, last)));
  const reading = await openReading(path, {signal: options.signal});
  try {
    const {connection} = reading;
    const writtenBy = applicationVersion(connection, last);
    const tables = readTables(connection, options);
    const tracked = tables.filter(isTracked(options));
    if (marked !== undefined && untrackedTable(connection, tracked, track!.owner, marked.mark) !== undefined) {
      reading.close();
      return undefined;
    }
    if (reading.mode !== 'wal') notice?.(writersWait);
    const names = otherNames(path);
    if (names !== undefined) notice?.(names);
    const allRows = new Map([...whyTablesBegin(connection, tracked, options), ...(marked?.allRows ?? [])]);
    for (const table of tables) {
      if (options.since === undefined || !tracked.includes(table) || allRows.has(table.name))
        requireDistinctKeys(connection, table);
    }
    if (omitIndexes) reportOmitted(tables, notice);
    // A table that continues had keys of the right types when it began, and its columns are still the same.
    const begins = ({name}: Table) => options.since === undefined || allRows.has(name);
    const keysToCheck = track === undefined ? [] : tracked.filter(begins).map(({name}) => name);
    const facts = {writtenBy, mark: marked?.mark, whyAll: allRows, keysToCheck};
    return new SqliteSnapshot(reading, tables, {...options, ...facts});
  } catch (error) {
    reading.close();
    throw error;
  }
}

const isTracked =
  ({whole = []}: SnapshotOptions) =>
  ({name}: Table) =>
    !whole.includes(name);

type AllRows = ReadonlyMap<TableName, string>;

/** Starts tracking where it is missing, and sets the mark of the next increment; within a write transaction. */
function markTables(
  writer: Connection,
  options: SnapshotOptions,
  {owner}: NonNullable<SnapshotOptions['track']>,
  writtenBy: number | undefined,
): {mark: Mark; allRows: AllRows} {
  const tables = readTables(writer, options).filter(isTracked(options));
  if (options.since !== undefined) requireKnownMark(writer, options.since);
  for (const table of tables) requireTrackable(table);
  // Before tracking is repaired: what was missing until now is why all rows are taken.
  const allRows = whyTablesBegin(writer, tables, options);
  ensureTracking(writer, tables);
  keepApplicationVersion(writer, writtenBy);
  return {mark: beginMark(writer, owner, tables), allRows};
}

/** The tables of an increment that the change log does not serve, with the reason. */
function whyTablesBegin(connection: Connection, tracked: readonly Table[], {since}: SnapshotOptions): AllRows {
  const reasons = new Map<TableName, string>();
  if (since === undefined) return reasons;
  for (const table of tracked) {
    const reason = whyAllRows(connection, table, since);
    if (reason !== undefined) reasons.set(table.name, reason);
  }
  return reasons;
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
  readonly #tracker: string | undefined;
  readonly #notice: SnapshotOptions['notice'];
  readonly #tellAllRows: SnapshotOptions['allRows'];
  readonly #blocks: SnapshotOptions['blocks'];
  readonly #counts = new Map<TableName, number>();
  readonly #maker: SegmentMaker;
  readonly #records: PageRecords;
  readonly #whyAll: AllRows;
  readonly #keysToCheck: readonly TableName[];

  constructor(
    reading: Reading,
    tables: readonly Table[],
    options: SnapshotOptions & {
      writtenBy: number | undefined;
      mark: Mark | undefined;
      whyAll: AllRows;
      keysToCheck: readonly TableName[];
    },
  ) {
    const {connection} = reading;
    this.mark = options.mark;
    this.#whyAll = options.whyAll;
    this.#keysToCheck = options.keysToCheck;
    this.#reading = reading;
    this.#connection = connection;
    this.#owner = options.since?.owner;
    this.#tracker = options.track?.owner;
    this.#notice = options.notice;
    this.#tellAllRows = options.allRows;
    this.#blocks = options.blocks;
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    const except = options.exceptObjects ?? [];
    const objects = options.objects === true ? readObjects(connection) : [];
    this.objects = objects.filter(({name}) => !except.includes(name));
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
    // Not the entries of an index: the rows are read by one, which may be damaged and lack some.
    const rows = `main.${quoteName(this.#table(table).name)} NOT INDEXED`;
    const count = this.#connection.number(`SELECT count(*) FROM ${rows}`);
    this.#counts.set(table, count);
    return count;
  }

  async base(table: TableName, {previous, form, withoutIndexes}: BaseOptions = {}): Promise<TableBase> {
    // Rows may be counted, and their keys examined, by one query.
    if (isLarge(this.#connection.path)) this.#blocks?.();
    const found = this.#table(table);
    const requireKeys = () => {
      if (this.#keysToCheck.includes(table)) requireKeyTypes(this.#connection, found);
    };
    const records =
      form === 'rows' ? undefined : await this.#records.base(found, {previous, withoutIndexes, requireKeys});
    if (records !== undefined && 'trees' in records) return records;
    requireKeys();
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

  async content(table: TableName, {mostBytes}: {mostBytes: number}) {
    return this.#records.content(this.#table(table), mostBytes);
  }

  async changes(table: TableName, since: Mark): Promise<Changes | 'rebase'> {
    const seq = this.#owner === undefined ? undefined : markedAt(this.#connection, this.#owner, since, table);
    const reason = this.#whyAll.get(table) ?? (seq === undefined ? 'its changes since then are not known' : undefined);
    const unknown = reason ?? unknownKeys(this.#connection, this.#table(table), seq!);
    if (unknown !== undefined) {
      this.#tellAllRows?.(table, unknown);
      return 'rebase';
    }
    return changesOf(this.#connection, this.#maker, this.#table(table), {since: seq!, blocks: this.#blocks});
  }

  async confirm(): Promise<void> {
    await this.#reading.confirm();
    if (this.mark !== undefined) this.#confirmMark(this.mark);
  }

  /** The backup is complete without it: then the next increment takes all rows. */
  #confirmMark(mark: Mark): void {
    // Without a write-ahead log, nothing can be written while a transaction reads.
    this.#connection.rollback();
    try {
      withConnection(this.#connection.path, {}, (writer) =>
        writer.write(() => confirmMark(writer, this.#tracker!, mark)),
      );
    } catch (error) {
      this.#notice?.(`the next increment will take all rows: ${(error as Error).message}`);
    }
  }

  async close(): Promise<void> {
    await this.#records.close();
    this.#reading.close();
  }

  #table(name: TableName): Table {
    return this.#tables.get(name)!;
  }
}
