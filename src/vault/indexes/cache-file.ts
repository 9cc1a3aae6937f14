import type {DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync} from 'node:sqlite';
import {openFile, openPrivate, removeFile} from './cache-schema.ts';

export type Row = Record<string, SQLOutputValue>;

/**
 * The local SQLite file that spares requests: what indexes say, copies of small objects. It can be deleted at any time, and
 * whatever goes wrong with it, work goes on without it. Shared by the processes of a home.
 */
export class CacheFile {
  #db: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  /** The file, as long as it is used. */
  #file: string | undefined;
  /** Grows when the file failed and all began anew, empty: what was known before has to be read again. */
  generation = 0;

  private constructor(db: DatabaseSync, file?: string) {
    this.#db = db;
    this.#file = file;
  }

  /** One of our own, empty, gone when it is closed; a large one spills to a temporary file. */
  static private(): CacheFile {
    return new CacheFile(openPrivate());
  }

  /**
   * The one in `file`; one that is damaged, of another version or another vault is made anew. A file that cannot be
   * used at all (no rights, a full disk) is done without: a cache is never a reason to fail.
   */
  static open(file: string, vaultId: string): CacheFile {
    try {
      return new CacheFile(openFile(file, vaultId), file);
    } catch {
      try {
        removeFile(file);
        return new CacheFile(openFile(file, vaultId), file);
      } catch {
        return CacheFile.private();
      }
    }
  }

  /** @param read throws for what no row may hold: then the file is as good as damaged */
  all<Result>(sql: string, values: readonly SQLInputValue[], read: (row: Row) => Result): Result[] {
    return this.#safely(() =>
      this.#prepare(sql)
        .all(...values)
        .map(read),
    );
  }

  /** One transaction; `work` may run twice. */
  change(work: () => void): void {
    this.#safely(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        work();
        this.#db.exec('COMMIT');
      } catch (error) {
        // SQLite has rolled back by itself after some errors.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Within `change`. */
  run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }

  /** Within `change`. */
  rows(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  /** Does what it is given; if the file fails, once more with an empty one of our own. */
  #safely<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      this.#abandon(error);
      return work();
    }
  }

  /** @throws the error, when there is no file whose fault it could be */
  #abandon(error: unknown): void {
    if (this.#file === undefined) throw error;
    const file = this.#file;
    this.#file = undefined;
    this.#statements = new Map();
    this.#db.close();
    this.#db = openPrivate();
    this.generation += 1;
    try {
      removeFile(file);
    } catch {
      // Then the next one to open it meets the same, and does without it too.
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
