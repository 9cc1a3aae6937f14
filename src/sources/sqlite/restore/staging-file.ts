import {rmSync} from 'node:fs';
import {Connection} from '../engine/connection.ts';
import {fileSettings, type KeptFacts} from '../schema/schema.ts';

/** Keeps the trees of UNIQUE constraints in memory while rows are loaded; more would raise bkp's peak. */
const loadCacheKib = 40 * 1024;
/**
 * CREATE INDEX sorts in runs of this size. Measured on 9 million keys: 8 to 16 MiB are the fastest; 128 MiB take the
 * same time and five times the memory. Threads of SQLite's (`PRAGMA threads`) took a fifth more CPU in the same time.
 */
const sortCacheKib = 8 * 1024;

/** For deltas of laid trees: they touch few pages, and the memory of the layout may not be free yet. */
const deltaCacheKib = 8 * 1024;

const whileLoading = `PRAGMA journal_mode = OFF; PRAGMA cache_size = -${loadCacheKib}`;
// An index that cannot be built is rolled back, which needs a journal.
const whileIndexing = `PRAGMA journal_mode = MEMORY; PRAGMA cache_size = -${sortCacheKib}`;
const always = 'PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA ignore_check_constraints = ON';

/**
 * The file in which tables are restored before they are published. No other process uses it, and after a crash it is
 * removed: so SQLite syncs nothing before the end.
 */
export class StagingFile {
  readonly path: string;
  #settings = whileLoading;
  #connection: Connection | undefined;

  /** Creates it, with the settings of the database that was backed up: its records are copied unchanged. */
  constructor(path: string, facts: KeptFacts) {
    this.path = path;
    try {
      this.#connection = new Connection(path, {create: true});
      this.#connection.exec(`${fileSettings(facts)} ${this.#settings}; ${always}`);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The only connection; opened again after {@link close}. */
  get connection(): Connection {
    if (this.#connection === undefined) {
      this.#connection = new Connection(this.path);
      this.#connection.exec(`${this.#settings}; ${always}`);
    }
    return this.#connection;
  }

  /** To be called when trees have been laid out. */
  beginDeltas(): void {
    this.#settings = `PRAGMA journal_mode = OFF; PRAGMA cache_size = -${deltaCacheKib}`;
    this.connection.exec(this.#settings);
  }

  /**
   * Instead of {@link beginDeltas}: all further changes go to a WAL, and into the file only when the caller checkpoints
   * it. Then SQLite syncs both.
   */
  beginLoggedDeltas(): void {
    this.#settings = `PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -${deltaCacheKib}`;
    this.connection.exec(`${this.#settings}; PRAGMA synchronous = NORMAL`);
  }

  /** Closes the file, which is complete without a WAL then. */
  endLoggedDeltas(): void {
    this.connection.exec('PRAGMA synchronous = FULL; PRAGMA journal_mode = TRUNCATE');
    this.close();
  }

  /**
   * Instead of {@link beginIndexes}, of a closed file: SQLite undoes transactions that did not end, even after a
   * loss of power.
   */
  beginLoggedIndexes(): void {
    this.#settings = `PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = -${sortCacheKib}`;
    this.connection.exec('PRAGMA synchronous = FULL');
  }

  /** To be called before indexes are built. */
  beginIndexes(): void {
    this.#settings = whileIndexing;
    this.connection.exec(`${this.#settings}; PRAGMA synchronous = OFF`);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  remove(): void {
    this.close();
    removeDatabase(this.path);
  }
}

/** A database file and everything SQLite may have put beside it. */
export function removeDatabase(path: string): void {
  for (const end of ['', '-journal', '-wal', '-shm']) rmSync(path + end, {force: true});
}
