import type {TableSchema} from '../../source.ts';
import type {Connection} from '../engine/connection.ts';
import {ResultCode, resultCode} from '../engine/errors.ts';
import {runFromManifest} from '../engine/from-manifest.ts';
import {quoteName} from '../engine/quote.ts';
import {objectName} from '../engine/sql-text.ts';
import {definitionOf} from '../schema/schema.ts';
import type {Table} from '../schema/table.ts';
import {buildConstraintIndex, buildIndex, computedBytes, constraintIndexes} from './build-index.ts';
import type {LoadedBytes} from './loaded-bytes.ts';

/** A computed index may have this many bytes, plus this many times the bytes of the backup's rows. */
const leastIndex = 64 * 1024 * 1024;
const mostGrowth = 16;
/** A computed value may be this long, or four times as long as the largest segment. */
const leastLength = 16 * 1024 * 1024;

/** The database; the check of the staging file closes its connection and opens another. */
type Place = {readonly connection: Connection};

/** An index of a restored table; `sql`: its statement, absent for the index of a constraint. */
export type RestoredIndex = {table: Table; name: string; sql?: string | undefined};

/** All indexes of a table, those of its constraints first. */
export function indexesOf(connection: Connection, table: Table, schema: TableSchema): readonly RestoredIndex[] {
  return [
    ...constraintIndexes(connection, table).map((name) => ({table, name})),
    ...definitionOf(schema).indexes.map((sql) => ({table, name: objectName(sql), sql})),
  ];
}

/** Builds indexes from the rows of their tables, and reports what the rows do not allow. */
export class IndexBuilder {
  readonly #place: Place;
  readonly #loaded: LoadedBytes;
  readonly #notice: (text: string) => void;
  /** Statements of indexes that could not be built. */
  readonly lost = new Set<string>();

  constructor(place: Place, loaded: LoadedBytes, notice: (text: string) => void) {
    this.#place = place;
    this.#loaded = loaded;
    this.#notice = notice;
  }

  get #connection(): Connection {
    return this.#place.connection;
  }

  build({table, name, sql}: RestoredIndex): void {
    const unique = sql === undefined ? buildConstraintIndex(this.#connection, table, name) : this.#create(table, sql);
    if (unique) return;
    this.#notice(`rows of ${table.name} came back unchanged, and violate its own UNIQUE or PRIMARY KEY`);
  }

  rebuild(index: RestoredIndex): void {
    if (index.sql !== undefined) this.#connection.exec(`DROP INDEX main.${quoteName(index.name)}`);
    this.build(index);
  }

  /**
   * The rows exist without the index too, so the restore continues and reports it.
   * @returns false when the rows violate it
   */
  #create(table: Table, sql: string): boolean {
    const make = (text: string) => runFromManifest(this.#connection, {what: 'index', table: table.name}, text);
    const leaveOut = (why: string) => {
      this.lost.add(sql);
      this.#notice(`an index of ${table.name} is left out, ${why}: ${sql}`);
      return true;
    };
    try {
      // An expression can compute a gigabyte from a row of few bytes, and sorting writes all of it to disk.
      this.#connection.limitLength(Math.max(leastLength, 4 * this.#loaded.largest));
      const bytes = computedBytes(this.#connection, table, sql);
      const loaded = this.#loaded.total;
      if (bytes > leastIndex + mostGrowth * loaded)
        return leaveOut(`it would hold ${bytes} bytes, computed from rows of ${loaded}`);
      return buildIndex(this.#connection, sql, make);
    } catch (error) {
      const code = resultCode(error);
      if (code !== ResultCode.error && code !== ResultCode.tooBig) throw error;
      return leaveOut(`its rows do not let SQLite compute it: ${(error as Error).message}`);
    } finally {
      this.#connection.limitLength(Number.MAX_SAFE_INTEGER);
    }
  }
}
