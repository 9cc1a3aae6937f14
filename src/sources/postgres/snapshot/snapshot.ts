import {BkpError} from '../../../errors/index.ts';
import type {
  BaseOptions,
  Changes,
  DatabaseFacts,
  Difference,
  Mark,
  SchemaObject,
  Snapshot,
  SnapshotOptions,
  StoredRows,
  TableBase,
  TableContent,
  TableName,
  TableSchema,
} from '../../source.ts';
import {columnList, type TableColumns, takenColumnsOf} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import {whyUnwrittenRowsChange} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {KeyOrderedRows} from '../segments/base-rows.ts';
import {BlockOrderedRows} from '../segments/block-rows.ts';
import {compareRows} from '../segments/compare-rows.ts';
import {contentOf} from '../segments/content.ts';
import {appliedDeltas, Differences} from '../segments/differences.ts';
import {readCuts} from '../segments/ranges.ts';
import type {TableToRead} from '../segments/table-to-read.ts';
import {confirmMark, markRow, whyAllRows} from '../tracking/marks.ts';
import {isScanMark, unreadOf} from '../tracking/scan-mark.ts';
import {mostUnread, newSince, sinceBefore} from './before.ts';
import {changesSince, type TableChangesRead} from './changes.ts';
import {fromOf} from './from.ts';
import {tellHeldUp} from './held-up.ts';
import {readsByKey} from './order.ts';
import {type Partitions, requireNoneJoined} from './partitions.ts';

export type OpenedSnapshot = {
  /** In a transaction that holds the snapshot and a lock of every table. */
  connection: Connection;
  /** They see the same snapshot, and read bases at the same time; one of them may be `connection`. */
  readers: readonly Connection[];
  /** They see the same snapshot, the first one is `connection`, and those after it read the changes of other tables. */
  beside: readonly Connection[];
  relations: readonly Relation[];
  /** Of the relations, when their schemas were read. */
  rootOf: Partitions;
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  database: DatabaseFacts;
  mark: Mark | undefined;
  /** Of the mark. */
  owner: string | undefined;
  /** Nothing is written to the database: changes are found by reading. */
  isScanned: boolean;
  /** The increment has no log of the changes since the backup before. */
  isCompared: boolean;
  since: SnapshotOptions['since'];
  notice: SnapshotOptions['notice'];
  allRows: SnapshotOptions['allRows'];
};

const muchSince = ({rows}: StoredRows) => `much of it has changed since all ${rows} rows were taken`;
const otherColumns = 'its columns, its key, their types or its partitions are not those of the backup before';

/** One moment of a PostgreSQL database, seen by one transaction. */
export class PostgresSnapshot implements Snapshot {
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  readonly objects: readonly SchemaObject[];
  readonly database: DatabaseFacts;
  readonly compare: Snapshot['compare'];
  readonly #opened: OpenedSnapshot;
  readonly #columns = new Map<number, TableColumns>();
  /** Changes that may still be read. */
  readonly #begun: TableChangesRead[] = [];
  /** Of the bases that were read. */
  readonly #contents = new Map<TableName, TableContent>();
  /** Rows of tables that were counted by no index. */
  readonly #counts = new Map<TableName, number>();

  constructor(opened: OpenedSnapshot) {
    this.#opened = opened;
    this.mark = opened.mark;
    this.schemas = opened.schemas;
    this.objects = opened.objects;
    this.database = opened.database;
    this.compare = opened.isCompared ? (table, base, options) => this.#compare(table, base, options) : undefined;
  }

  async estimatedBytes(table: TableName): Promise<number> {
    return Math.max(1, this.#relation(table).bytes);
  }

  get tablesAtOnce(): number {
    return this.#opened.beside.length;
  }

  async countRows(table: TableName): Promise<number> {
    const known = this.#counts.get(table);
    if (known !== undefined) return known;
    const connection = this.#connectionOf(table);
    return Number(await connection.value(`SELECT count(*) FROM ${fromOf(this.#relation(table))}`));
  }

  async base(table: TableName, {previous, takeOver}: BaseOptions = {}): Promise<TableBase> {
    const connection = this.#connectionOf(table);
    const readers = this.tablesAtOnce === 1 ? this.#opened.readers : [connection];
    const relation = this.#relation(table);
    const columns = await this.#columnsOf(relation, connection);
    const byBlock = !(await readsByKey(connection, relation, columns));
    const cuts = readCuts(previous?.get(table));
    const {bytes} = relation;
    const read: TableToRead = {
      ...{leader: connection, readers, from: fromOf(relation), bytes, columns, previous: cuts},
      ...(await this.#sinceBefore(relation, byBlock, {cuts, takeOver})),
      whole: (content) => this.#contents.set(table, content),
      counted: (rows) => this.#counts.set(table, rows),
    };
    return {form: 'rows', rows: byBlock ? new BlockOrderedRows(read) : new KeyOrderedRows(read)};
  }

  async content(
    table: TableName,
    {mostBytes}: {mostBytes: number},
  ): Promise<{content: TableContent; readBytes: number} | undefined> {
    const known = this.#contents.get(table);
    if (known !== undefined) return {content: known, readBytes: 0};
    const relation = this.#relation(table);
    const {bytes: readBytes} = relation;
    if (readBytes > mostBytes) return undefined;
    const {columns} = await this.#columnsOf(relation);
    const query = `SELECT ${columnList(columns)} FROM ${fromOf(relation)}`;
    return {content: await contentOf(this.#opened.connection, query), readBytes};
  }

  async changes(table: TableName, since: Mark): Promise<Changes | 'rebase'> {
    const {since: asked, allRows} = this.#opened;
    if (this.compare !== undefined) return 'rebase';
    const connection = this.#connectionOf(table);
    const relation = this.#relation(table);
    const {oid} = relation;
    const row = asked && (await markRow(connection, {owner: asked.owner, mark: since, oid}));
    const why = this.#hasFingerprint(table)
      ? ((await whyAllRows(connection, oid, row)) ?? (await whyUnwrittenRowsChange(connection, oid)))
      : otherColumns;
    if (why !== undefined || row === undefined) {
      allRows?.(table, why ?? 'its changes since then are not known');
      return 'rebase';
    }
    const columns = await this.#columnsOf(relation, connection);
    const changes = await changesSince(connection, {oid, from: fromOf(relation), columns, row});
    this.#begun.push(changes);
    return changes;
  }

  /** Without change tracking, and for a table of an unknown mark, everything is read. */
  #sinceBefore(
    {oid, name}: Relation,
    byBlock: boolean,
    before: Parameters<typeof sinceBefore>[2],
  ): ReturnType<typeof sinceBefore> {
    const {mark, owner = '', isScanned} = this.#opened;
    const connection = this.#connectionOf(name);
    if (isScanned) return sinceBefore(connection, {oid, byBlock, tracked: undefined}, before);
    if (mark === undefined) return Promise.resolve({seen: undefined, takeOver: undefined});
    return sinceBefore(connection, {oid, byBlock, tracked: {owner, mark}}, before);
  }

  async #compare(table: TableName, stored: StoredRows, {mostKeys}: {mostKeys: number}): Promise<Difference | 'rebase'> {
    const {connection: leader, readers, isScanned, since, allRows} = this.#opened;
    const relation = this.#relation(table);
    const rebase = (why: string) => {
      allRows?.(table, why);
      return 'rebase' as const;
    };
    if (!this.#hasFingerprint(table)) return rebase(otherColumns);
    const columns = await this.#columnsOf(relation);
    const cuts = readCuts(stored.cuts);
    if (cuts === undefined) return rebase('what the backup before knows of it cannot be used');
    const {oid, bytes} = relation;
    const counted = (rows: number) => void this.#counts.set(table, rows);
    const now = {oid, byBlock: cuts.by === 'block', tracked: undefined};
    const mayLeaveUnread = isScanned && unreadOf(since!.mark) < mostUnread;
    const xmin = mayLeaveUnread ? await newSince(leader, now, cuts) : undefined;
    const keyParts = columns.key.length;
    const earlier = await appliedDeltas(stored.deltas, keyParts);
    if (earlier === undefined) return rebase(muchSince(stored));
    const differences = new Differences({keyParts, mostKeys, earlier});
    const from = fromOf(relation);
    const content = await compareRows(
      {leader, readers, from, columns, cuts, xmin, bytes, counted, stored},
      differences,
    );
    if (content === undefined) return rebase(muchSince(stored));
    // Ranges are found by an index, which may be damaged and lack rows: the base finds out.
    if (content.rows !== (await this.countRows(table)))
      return rebase('the ranges of its key do not have all of its rows');
    this.#contents.set(table, content);
    return {delta: differences.delta(), changed: differences.changed()};
  }

  #hasFingerprint(table: TableName): boolean {
    const {since, schemas} = this.#opened;
    return since?.fingerprints[table] === schemas.find(({name}) => name === table)?.fingerprint;
  }

  async confirm(): Promise<void> {
    const {connection, mark, owner, relations, rootOf, notice} = this.#opened;
    // A transaction that was ended by the server answers with an error.
    await connection.value('SELECT 1');
    await requireNoneJoined(connection, relations, rootOf);
    await tellHeldUp(connection, notice);
    await connection.run('COMMIT');
    if (mark !== undefined && !isScanMark(mark)) await confirmMark(connection, owner!, mark);
  }

  async close(): Promise<void> {
    const {connection, readers, beside} = this.#opened;
    for (const changes of this.#begun) await changes.stop();
    for (const one of new Set([...readers, ...beside, connection])) await one.close();
  }

  /**
   * All that concerns a table in an increment happens on one connection, and the tables that are read at the same time
   * have different ones: behind the rows of a table that nothing takes yet, another one would wait for ever.
   */
  #connectionOf(table: TableName): Connection {
    const {beside, schemas} = this.#opened;
    const at = schemas.findIndex(({name}) => name === table);
    return beside[at % beside.length] ?? beside[0]!;
  }

  #relation(table: TableName): Relation {
    const relation = this.#opened.relations.find(({name}) => name === table);
    if (relation === undefined) throw new BkpError('INTERNAL', `${table} is not in the snapshot`);
    return relation;
  }

  async #columnsOf({oid}: Relation, connection = this.#opened.connection): Promise<TableColumns> {
    const known = this.#columns.get(oid) ?? (await takenColumnsOf(connection, oid));
    this.#columns.set(oid, known);
    return known;
  }
}
