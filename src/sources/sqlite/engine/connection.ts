import {DatabaseSync, type StatementSync} from 'node:sqlite';
import {pathToFileURL} from 'node:url';
import {checkFile, isInWalMode} from './check-file.ts';
import {ResultCode, resultCode, translated, walFolderError} from './errors.ts';
import {watchFreePages} from './freed-pages.ts';

/** A value as SQLite stores it: integers are always bigint, so that no digit is lost. */
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

/** Long enough for a writer's transaction to end, short enough for a user who waits at a prompt. */
export const busyTimeoutMs = 5000;

/** SQLite's own limit, https://www.sqlite.org/limits.html. */
const mostBytes = 1_000_000_000;

const resetsSchema = /\b(?:rollback|writable_schema|sqlite_schema)\b/i;

export type ConnectOptions = {
  /** Create the file if it does not exist. Default false. */
  create?: boolean;
  /** A new database in memory, without a file; the path is only used in messages. Default false. */
  memory?: boolean;
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
  /**
   * Counts what may change the schema without a new `schema_version`: edits of sqlite_schema itself, and rollbacks,
   * after which another change has the version of the one that was rolled back.
   */
  schemaResets = 0;

  /** @throws BkpError `SOURCE_UNAVAILABLE` | `SOURCE_DAMAGED` | `SOURCE_LOCKED` */
  constructor(path: string, options: ConnectOptions = {}) {
    this.path = path;
    if (options.create !== true && options.memory !== true) checkFile(path);
    this.#db = open(path, options);
    try {
      // The first read of the schema reads the header; only then does SQLite know whether it is a database.
      this.#db.prepare('SELECT count(*) FROM main.sqlite_schema').get();
    } catch (error) {
      this.#db.close();
      const code = resultCode(error);
      const mayNotWrite = code === ResultCode.readOnly || code === ResultCode.cannotOpen;
      throw mayNotWrite && isInWalMode(path) ? walFolderError(error, path) : translated(error, path);
    }
  }

  exec(sql: string): void {
    if (resetsSchema.test(sql)) this.schemaResets += 1;
    this.#try(() => this.#db.exec(sql));
  }

  /** @returns rows changed */
  run(sql: string, ...params: Value[]): number {
    if (resetsSchema.test(sql)) this.schemaResets += 1;
    return this.#try(() => Number(this.#statement(sql).run(...params).changes));
  }

  get(sql: string, ...params: Value[]): Row | undefined {
    return this.#try(() => this.#statement(sql).get(...params) as Row | undefined);
  }

  all(sql: string, ...params: Value[]): Row[] {
    return this.#try(() => this.#statement(sql).all(...params) as Row[]);
  }

  /** Rows as arrays, one at a time: several columns can have one name. Nothing else may use the statement meanwhile. */
  *iterate(sql: string, ...params: Value[]): Generator<readonly Value[]> {
    const statement = this.#try(() => this.#db.prepare(sql));
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    // The types of node:sqlite do not follow setReturnArrays.
    const rows = statement.iterate(...params) as Iterator<unknown> as Iterator<Value[]>;
    try {
      for (;;) {
        const next = this.#try(() => rows.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      rows.return?.();
    }
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
   * Compiles one statement; SQLite calls `authorize` for every action in it, with the arguments and results of an
   * authorizer callback.
   * @returns runs the statement once
   */
  prepareAuthorized(sql: string, authorize: Authorizer): () => void {
    const statement = this.#try(() => this.authorized(authorize, () => this.#db.prepare(sql)));
    return () => void this.#try(() => statement.run());
  }

  /** Runs `body`, which may compile only what `authorize` allows. */
  authorized<T>(authorize: Authorizer, body: () => T): T {
    this.#db.setAuthorizer(authorize);
    try {
      return body();
    } finally {
      this.#db.setAuthorizer(null);
    }
  }

  /** @param schema `main` or the name of an attached database @returns a copy */
  serialize(schema: string): Uint8Array {
    return this.#try(() => this.#db.serialize(schema));
  }

  /** Replaces an attached database by an image; not inside a transaction. */
  deserialize(schema: string, image: Uint8Array): void {
    // Node finalizes all statements of the connection here.
    this.#statements.clear();
    this.schemaResets += 1;
    this.#try(() => this.#db.deserialize(image, {dbName: schema}));
  }

  /** One transaction, which holds the write lock from the start. */
  write<T>(body: () => T): T {
    this.exec('BEGIN IMMEDIATE');
    try {
      const giveBackFreed = watchFreePages(this);
      const result = body();
      giveBackFreed();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Registers a placeholder for a function of the application, so that statements with it compile; they must
   * not run.
   */
  standIn(name: string): void {
    this.#db.function(name, {varargs: true}, () => null);
  }

  /** The maximum length of a text, blob or row; a longer one is an error (`tooBig`). */
  limitLength(bytes: number): void {
    this.#db.limits.length = Math.min(bytes, mostBytes);
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  rollback(): void {
    if (this.inTransaction) this.exec('ROLLBACK');
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

/** Runs `body` with a new connection, and closes it. */
export function withConnection<T>(path: string, options: ConnectOptions, body: (connection: Connection) => T): T {
  const connection = new Connection(path, options);
  try {
    return body(connection);
  } finally {
    connection.close();
  }
}

function open(path: string, options: ConnectOptions): DatabaseSync {
  // mode=rw: a file that was removed meanwhile is not recreated; SQLite itself falls back to reading a read-only file.
  const url = pathToFileURL(path);
  url.searchParams.set('mode', options.create === true ? 'rwc' : 'rw');
  try {
    return new DatabaseSync(options.memory === true ? ':memory:' : url, {
      timeout: options.busyTimeoutMs ?? busyTimeoutMs,
      // Foreign keys may refer to tables that do not exist (yet).
      enableForeignKeyConstraints: false,
      // In defensive mode SQLite considers a schema with a trigger on a shadow table malformed, and allows no
      // edit of it.
      defensive: false,
      // Older schemas have string literals in double quotes, which must be restored unchanged.
      enableDoubleQuotedStringLiterals: true,
    });
  } catch (error) {
    throw translated(error, path);
  }
}
