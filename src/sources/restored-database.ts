import type {QueryEnd} from '../lib/query-end.ts';
import type {DatabaseMoment, FrozenFile} from './file-source.ts';

/** What a database system finds in a restored database. Sentences are for a report. */
export type RestoredFindings = {
  /** What was checked, also what it found that is no fault. */
  checked: readonly string[];
  notChecked: readonly string[];
  /** Why the restored database is not usable as it is. Empty: it is. */
  faults: readonly string[];
  /** Every table of the database. `expected`: the rows that the backup recorded; absent: it cannot be compared. */
  tables: readonly {name: string; rows: number; expected?: number | undefined}[];
};

/** How queries of the user run in a restored database: SQLite reads the file, or its own server answers. */
export type RestoredSql = {file: string} | {value: (sql: string, end: QueryEnd) => Promise<SqlValue>};

/** The first value of the only row; `error`: why there is none, as the end of a sentence. */
export type SqlValue = {value: unknown; error?: undefined} | {error: string};

/** A database that was restored for a drill, in a folder that only the drill uses. */
export interface RestoredDatabase {
  /**
   * The stored bytes of a restored file, without the zeros after them.
   * @returns undefined when the file is missing, or its length is not the one of the backup
   */
  read(file: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Runs the complete check of the database system, and starts its server if it needs one and has one. */
  examine(options: {moment: DatabaseMoment; signal: AbortSignal}): Promise<RestoredFindings>;
  /** Once `examine` has found no fault. Undefined: queries need a server, and no command starts one. */
  sql(): RestoredSql | undefined;
  /** Ends everything that was started. */
  close(): Promise<void>;
}
