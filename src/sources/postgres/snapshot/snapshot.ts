import {BkpError} from '../../../errors/index.ts';
import type {
  BaseOptions,
  Changes,
  DatabaseFacts,
  Mark,
  SchemaObject,
  Snapshot,
  SnapshotOptions,
  TableBase,
  TableContent,
  TableName,
  TableSchema,
} from '../../source.ts';
import {columnList, columnsOf, type TableColumns} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import {whyUnwrittenRowsChange} from '../catalog/text-state.ts';
import type {Connection} from '../connection/connection.ts';
import {KeyOrderedRows} from '../segments/base-rows.ts';
import {BlockOrderedRows} from '../segments/block-rows.ts';
import {contentOf} from '../segments/content.ts';
import {readCuts} from '../segments/ranges.ts';
import type {TableToRead} from '../segments/table-to-read.ts';
import {confirmMark, markRow, whyAllRows} from '../tracking/marks.ts';
import {sinceBefore} from './before.ts';
import {changesSince} from './changes.ts';
import {fromOf} from './from.ts';
import {readsByKey} from './order.ts';

export type OpenedSnapshot = {
  /** In a transaction that holds the snapshot and a lock of every table. */
  connection: Connection;
  /** They see the same snapshot, and read bases at the same time; one of them may be `connection`. */
  readers: readonly Connection[];
  relations: readonly Relation[];
  schemas: readonly TableSchema[];
  objects: readonly SchemaObject[];
  database: DatabaseFacts;
  mark: Mark | undefined;
  /** Of the mark. */
  owner: string | undefined;
  since: SnapshotOptions['since'];
  notice: SnapshotOptions['notice'];
};

/** One moment of a PostgreSQL database, seen by one transaction. */
export class PostgresSnapshot implements Snapshot {
  readonly mark: Mark | undefined;
  readonly schemas: readonly TableSchema[];
  readonly objects: readonly SchemaObject[];
  readonly database: DatabaseFacts;
  readonly #opened: OpenedSnapshot;
  readonly #columns = new Map<number, TableColumns>();
  /** Of the bases that were read. */
  readonly #contents = new Map<TableName, TableContent>();

  constructor(opened: OpenedSnapshot) {
    this.#opened = opened;
    this.mark = opened.mark;
    this.schemas = opened.schemas;
    this.objects = opened.objects;
    this.database = opened.database;
  }

  async estimatedBytes(table: TableName): Promise<number> {
    return Math.max(1, this.#relation(table).bytes);
  }

  async countRows(table: TableName): Promise<number> {
    const {connection} = this.#opened;
    return Number(await connection.value(`SELECT count(*) FROM ${fromOf(this.#relation(table))}`));
  }

  async base(table: TableName, {previous, takeOver}: BaseOptions = {}): Promise<TableBase> {
    const {connection, readers, mark, owner} = this.#opened;
    const relation = this.#relation(table);
    const columns = await this.#columnsOf(relation);
    const byBlock = !(await readsByKey(connection, relation, columns));
    const cuts = readCuts(previous?.get(table));
    const {oid, bytes} = relation;
    const history = {owner: owner ?? '', mark, oid, byBlock};
    const read: TableToRead = {
      ...{leader: connection, readers, from: fromOf(relation), bytes, columns, previous: cuts},
      ...(await sinceBefore(connection, history, {cuts, takeOver})),
      whole: (content) => this.#contents.set(table, content),
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
    const {connection, since: asked, notice} = this.#opened;
    const relation = this.#relation(table);
    const {oid} = relation;
    const row = asked && (await markRow(connection, {owner: asked.owner, mark: since, oid}));
    const isSame = asked?.fingerprints[table] === this.schemas.find(({name}) => name === table)?.fingerprint;
    const why = isSame
      ? ((await whyAllRows(connection, oid, row)) ?? (await whyUnwrittenRowsChange(connection, oid)))
      : 'its columns, its key or their types are not those of the backup before';
    if (why !== undefined || row === undefined) {
      notice?.(`all rows of ${table} are taken: ${why}`);
      return 'rebase';
    }
    const columns = await this.#columnsOf(relation);
    return changesSince(connection, {oid, from: fromOf(relation), columns, row});
  }

  async confirm(): Promise<void> {
    const {connection, mark, owner} = this.#opened;
    // A transaction that was ended by the server answers with an error.
    await connection.value('SELECT 1');
    await connection.run('COMMIT');
    if (mark !== undefined) await confirmMark(connection, owner!, mark);
  }

  async close(): Promise<void> {
    const {connection, readers} = this.#opened;
    for (const one of new Set([...readers, connection])) await one.close();
  }

  #relation(table: TableName): Relation {
    const relation = this.#opened.relations.find(({name}) => name === table);
    if (relation === undefined) throw new BkpError('INTERNAL', `${table} is not in the snapshot`);
    return relation;
  }

  async #columnsOf({oid}: Relation): Promise<TableColumns> {
    const known = this.#columns.get(oid) ?? (await columnsOf(this.#opened.connection, oid));
    this.#columns.set(oid, known);
    return known;
  }
}
