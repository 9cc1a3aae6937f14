import type {DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync} from 'node:sqlite';
import {openFile, openPrivate, removeFile} from './cache-schema.ts';

export type Row = Record<string, SQLOutputValue>;

/**
 * The local SQLite file that saves requests: a copy of the indexes and of small objects. It may be deleted at
 * any time, and no error of it stops any work. Shared by all processes that use one BKP_HOME.
 */
export class CacheFile {
  #db: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  /** Undefined once the file has failed and a private one replaced it. */
  #file: string | undefined;
  /** Grows when the file failed and an empty one replaced it: read everything from the store again. */
  generation = 0;

  private constructor(db: DatabaseSync, file?: string) {
    this.#db = db;
    this.#file = file;
  }

  /** An empty cache of this process, deleted when it is closed; a large one spills to a temporary file. */
  static private(): CacheFile {
    return new CacheFile(openPrivate());
  }

  /**
   * Opens `file`. A file that is damaged, of another version or of another vault is replaced. If it cannot be used at
   * all (no permission, a full disk), the cache is private: a cache is never a reason to fail.
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

  /** @param read throws when a row holds an impossible value; the file is then treated as damaged */
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
        // After some errors SQLite has already rolled back.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Only within `change`. */
  run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }

  /** Only within `change`. */
  rows(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  /** Runs `work`; if the file fails, once more with an empty private one. */
  #safely<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      this.#abandon(error);
      return work();
    }
  }

  /** @throws the error if the cache is private already: then no file can be the cause */
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
      // The next process that opens the file finds it damaged too, and works without it.
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
