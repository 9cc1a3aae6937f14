import type {Segment} from '../../source.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {keyNames, loadedNames, type Table} from '../schema/table.ts';
import {type Boundary, boundaryColumns, boundaryOf} from './boundary.ts';

/**
 * A segment is a small SQLite database with one table: `rows` (a table's rows in the order of its key) or
 * `keys`. Its columns have no type, so values are copied bit for bit, without a conversion.
 *
 * It is built in an in-memory database, inside the transaction that reads the source, and rolled back after it
 * is serialized: nothing is ever freed in it, so the same rows give the same bytes.
 */

/** Measured: with smaller pages reading is a third slower, with larger ones the images only grow. */
const pageBytes = 16 * 1024;
/** Segments get about this size: large enough for compression to work, small enough for a difference to be small. */
export const targetBytes = 1024 * 1024;
/** Only a segment of a single row may be larger: this limits memory for any rows. */
const mostBytes = 4 * targetBytes;
const mostPages = mostBytes / pageBytes;
/** The largest that PRAGMA max_page_count takes. */
const unlimitedPages = 4294967294;

/** The statements that fill one segment. */
export type Filling = {
  /** `rows` or `keys`, with its columns. */
  create: string;
  /** INSERT … SELECT … LIMIT ?; its last parameter is the limit. */
  insert: string;
  params: readonly Value[];
  /** SELECT of the last row's key (columns of {@link boundaryColumns}); absent when it is not needed. */
  last?: string;
};

/** Without bytes when no row was found. */
export type FilledSegment = Segment & {
  last?: Boundary | undefined;
  /** It has as many rows as the limit, so there may be more. */
  full: boolean;
  /** The limit that was used in the end. */
  limit: number;
};

export class SegmentMaker {
  readonly #connection: Connection;

  /** Within the connection's read transaction. */
  constructor(connection: Connection) {
    this.#connection = connection;
    connection.exec(`ATTACH ':memory:' AS seg; PRAGMA seg.page_size = ${pageBytes}`);
    this.#limitPages(mostPages);
  }

  /** With the given limit, or with a half, a quarter … of it when the rows are wide. */
  make(filling: Filling, limit: number): FilledSegment {
    for (let rows = limit; ; rows = Math.ceil(rows / 2)) {
      try {
        return this.#make(filling, rows);
      } catch (error) {
        if (resultCode((error as Error).cause) !== ResultCode.full) throw error;
      }
      if (rows > 1) continue;
      this.#limitPages(unlimitedPages);
      try {
        return this.#make(filling, 1);
      } finally {
        this.#limitPages(mostPages);
      }
    }
  }

  #make({create, insert, params, last}: Filling, limit: number): FilledSegment {
    const connection = this.#connection;
    connection.exec('SAVEPOINT seg');
    try {
      connection.exec(create);
      const rows = connection.run(insert, ...params, BigInt(limit));
      if (rows === 0) return {bytes: new Uint8Array(), rows, limit, full: false};
      const key = last === undefined ? undefined : boundaryOf(connection.get(last)!);
      return {
        bytes: connection.serialize('seg'),
        rows,
        limit,
        full: rows === limit,
        last: key,
      };
    } finally {
      // Some errors (a disk that cannot be read) end the whole transaction; a failing ROLLBACK would hide their
      // message.
      if (connection.inTransaction) connection.exec('ROLLBACK TO seg; RELEASE seg');
    }
  }

  #limitPages(pages: number): void {
    this.#connection.exec(`PRAGMA seg.max_page_count = ${pages}`);
  }
}

/**
 * The CHECK never fails. With it, only the statement that runs out of pages is undone; without any constraint
 * SQLite would end the whole transaction, and the snapshot with it.
 */
const statementJournal = 'CHECK (1)';

/** How the rows of a table are written into a segment. */
export type RowShape = {
  create: string;
  /** `INSERT INTO seg.rows (…) SELECT …`, to be continued with FROM; the table is called `t`. */
  insert: string;
  /** The key of the last row in it. */
  last: string;
};

export function rowShape(table: Table): RowShape {
  const {key} = table;
  const {columns: names, rowid} = loadedNames(table);
  const integerKey = key.kind === 'rowid' ? key.column : undefined;
  const columns = names.map((name) =>
    integerKey !== undefined && name === quoteName(integerKey) ? `${name} INTEGER PRIMARY KEY` : name,
  );
  const into = [...rowid, ...names];
  const from = into.map((name) => `t.${name}`);
  return {
    create: `CREATE TABLE seg.rows (${[...columns, statementJournal].join(', ')})`,
    insert: `INSERT INTO seg.rows (${into.join(', ')}) SELECT ${from.join(', ')}`,
    last: `SELECT ${boundaryColumns(keyNames(key))} FROM seg.rows ${lastRow(table)}`,
  };
}

/**
 * Rows are in the order of the segment's own rowid, which cannot be named if the table's columns hide all of
 * its names.
 */
function lastRow(table: Table): string {
  const taken = new Set(table.columns.map((column) => foldName(column.name)));
  const alias = table.key.alias ?? ['rowid', '_rowid_', 'oid'].find((word) => !taken.has(word));
  return alias === undefined ? 'LIMIT 1 OFFSET (SELECT count(*) - 1 FROM seg.rows)' : `ORDER BY ${alias} DESC LIMIT 1`;
}

export function keyShape(columns: readonly string[]): string {
  return `CREATE TABLE seg.keys (${[...columns, statementJournal].join(', ')})`;
}
