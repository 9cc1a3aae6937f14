import type {Segment} from '../../source.ts';
import type {Connection, Value} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {foldName, quoteName} from '../engine/quote.ts';
import {keyNames, loadedNames, type Table} from '../schema/table.ts';
import {type Boundary, boundaryColumns, boundaryOf} from './boundary.ts';

/**
 * A segment is a small SQLite database with one table: `rows` (a table's rows in the order of its key) or `keys`.
 * Its columns have no type, so that values come and go bit for bit, without a conversion.
 *
 * It is made in a database in memory, inside of the transaction that reads the source, and rolled back once it is
 * serialized: nothing is ever freed in it, so the same rows give the same bytes.
 */

/** Measured: below 16 KiB pages the reading is slower by a third, above it the images only grow. */
const pageBytes = 16 * 1024;
/** Segments get about this size: large enough for compression to work, small enough for a difference to be small. */
export const targetBytes = 1024 * 1024;
/** No segment but one of a single row gets larger: this bounds memory, whatever the rows are like. */
const mostBytes = 4 * targetBytes;
const mostPages = mostBytes / pageBytes;
/** The largest that PRAGMA max_page_count takes. */
const unlimitedPages = 4294967294;

/** What one segment is made of. */
export type Filling = {
  /** `rows` or `keys`, with its columns. */
  create: string;
  /** INSERT … SELECT … LIMIT ?; its last parameter is the limit. */
  insert: string;
  params: readonly Value[];
  /** SELECT that tells the last row's key (columns of {@link boundaryColumns}); absent when nobody asks. */
  last?: string;
};

/** Without bytes when no row was found. */
export type FilledSegment = Segment & {
  last?: Boundary | undefined;
  /** As many rows as the limit: there may be more. */
  full: boolean;
  /** What the limit was in the end. */
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
      // Some errors (a disk that cannot be read) end the whole transaction, and theirs is the message to tell.
      if (connection.inTransaction) connection.exec('ROLLBACK TO seg; RELEASE seg');
    }
  }

  #limitPages(pages: number): void {
    this.#connection.exec(`PRAGMA seg.max_page_count = ${pages}`);
  }
}

/**
 * The CHECK never fails. With it a statement that finds no more pages is undone alone; without any constraint
 * SQLite ends the whole transaction, and the snapshot with it.
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

/** Rows lie in the order of the segment's own rowid, unless the table's columns hide every name of it. */
function lastRow(table: Table): string {
  const taken = new Set(table.columns.map((column) => foldName(column.name)));
  const alias = table.key.alias ?? ['rowid', '_rowid_', 'oid'].find((word) => !taken.has(word));
  return alias === undefined ? 'LIMIT 1 OFFSET (SELECT count(*) - 1 FROM seg.rows)' : `ORDER BY ${alias} DESC LIMIT 1`;
}

export function keyShape(columns: readonly string[]): string {
  return `CREATE TABLE seg.keys (${[...columns, statementJournal].join(', ')})`;
}
