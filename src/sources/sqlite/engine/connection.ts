import {DatabaseSync, type StatementSync} from 'node:sqlite';
import {pathToFileURL} from 'node:url';
import {checkFile, isInWalMode} from './check-file.ts';
import {ResultCode, resultCode, translated, walFolderError} from './errors.ts';

/** A value as SQLite has it: integers are always bigint, so that no digit is lost. */
export type Value = null | bigint | number | string | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

/** SQLite's own codes and names, https://www.sqlite.org/c3ref/c_alter_table.html. */
export type Authorizer = (
  action: number,
  first: string | null,
  second: string | null,
  schema: string | null,
  inside: string | null,
) => number;

/** Long enough for a writer's transaction to end, short enough for somebody who waits at a prompt. */
export const busyTimeoutMs = 5000;

/** SQLite's own limit, https://www.sqlite.org/limits.html. */
const mostBytes = 1_000_000_000;

export type ConnectOptions = {
  /** Make the file when there is none. Default false. */
  create?: boolean;
  busyTimeoutMs?: number;
};

/**
 * One connection to one database file, with SQLite's errors translated.
 * The only class that holds a `DatabaseSync` on a file.
 */
export class Connection {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED` */
  constructor(path: string, options: ConnectOptions = {}) {
    this.path = path;
    if (options.create !== true) checkFile(path);
    this.#db = open(path, options);
    try {
      // The header is read by the first look into the schema; only then SQLite knows whether it is a database.
      this.#db.prepare('SELECT count(*) FROM main.sqlite_schema').get();
    } catch (error) {
      this.#db.close();
      const code = resultCode(error);
      const mayNotWrite = code === ResultCode.readOnly || code === ResultCode.cannotOpen;
      throw mayNotWrite && isInWalMode(path) ? walFolderError(error, path) : translated(error, path);
    }
  }

  exec(sql: string): void {
    this.#try(() => this.#db.exec(sql));
  }

  /** @returns rows changed */
  run(sql: string, ...params: Value[]): number {
    return this.#try(() => Number(this.#statement(sql).run(...params).changes));
  }

  get(sql: string, ...params: Value[]): Row | undefined {
    return this.#try(() => this.#statement(sql).get(...params) as Row | undefined);
  }

  all(sql: string, ...params: Value[]): Row[] {
    return this.#try(() => this.#statement(sql).all(...params) as Row[]);
  }

  /** The first column of the first row; undefined without a row. */
  value(sql: string, ...params: Value[]): Value | undefined {
    const row = this.get(sql, ...params);
    return row === undefined ? undefined : Object.values(row)[0];
  }

  number(sql: string, ...params: Value[]): number {
    return Number(this.value(sql, ...params) ?? 0);
  }

  /** @throws what SQLite says about the statement; nothing is executed */
  check(sql: string): void {
    this.#db.prepare(sql);
  }

  /**
   * Compiles one statement, which is run once by what this returns; `authorize` is asked of everything that it would
   * do. It gets what SQLite's authorizer gets, and answers as that does.
   */
  prepareAuthorized(sql: string, authorize: Authorizer): () => void {
    const statement = this.#try(() => this.authorized(authorize, () => this.#db.prepare(sql)));
    return () => void this.#try(() => statement.run());
  }

  /** Compiles in `body` what `authorize` allows. */
  authorized<T>(authorize: Authorizer, body: () => T): T {
    this.#db.setAuthorizer(authorize);
    try {
      return body();
    } finally {
      this.#db.setAuthorizer(null);
    }
  }

  /** Attached databases are named; the image is a copy. */
  serialize(schema: string): Uint8Array {
    return this.#try(() => this.#db.serialize(schema));
  }

  /** Replaces an attached database by an image; not within a transaction. */
  deserialize(schema: string, image: Uint8Array): void {
    // Node finalizes all statements of the connection here.
    this.#statements.clear();
    this.#try(() => this.#db.deserialize(image, {dbName: schema}));
  }

  /** All or nothing, under the write lock from the start. */
  write<T>(body: () => T): T {
    this.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Lets statements that use a function of the application compile; they must not be run. */
  standIn(name: string): void {
    this.#db.function(name, {varargs: true}, () => null);
  }

  /** No text, blob or row gets longer; what would is an error (`tooBig`). */
  limitLength(bytes: number): void {
    this.#db.limits.length = Math.min(bytes, mostBytes);
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  rollback(): void {
    if (this.inTransaction) this.#db.exec('ROLLBACK');
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #try<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw translated(error, this.path);
    }
  }
}

/** Runs `body` with a connection of its own. */
export function withConnection<T>(path: string, options: ConnectOptions, body: (connection: Connection) => T): T {
  const connection = new Connection(path, options);
  try {
    return body(connection);
  } finally {
    connection.close();
  }
}

function open(path: string, options: ConnectOptions): DatabaseSync {
  // mode=rw: a file that went away meanwhile is not made anew; SQLite itself falls back to reading a read-only file.
  const url = pathToFileURL(path);
  url.searchParams.set('mode', options.create === true ? 'rwc' : 'rw');
  try {
    return new DatabaseSync(url, {
      timeout: options.busyTimeoutMs ?? busyTimeoutMs,
      // Foreign keys may point to tables that are not here (yet).
      enableForeignKeyConstraints: false,
      // SQLite would take a schema with a trigger on a shadow table for a malformed one, and edits none.
      defensive: false,
      // Older schemas hold string literals in double quotes; they must come back as they were.
      enableDoubleQuotedStringLiterals: true,
    });
  } catch (error) {
    throw translated(error, path);
  }
}
