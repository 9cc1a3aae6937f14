import {closeSync, openSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {BkpError} from '../../errors/index.ts';
import {makeFolderSync} from '../../lib/files.ts';
import {requirePlainFile} from '../../lib/plain-file.ts';
import {isContention, replaceIt} from './errors.ts';

/**
 * The migrations from an empty file to the current schema; `user_version` counts those that were applied. A released
 * migration never changes: a change of the schema is a new one.
 *
 * - Numbers are never reused, not even when the newest operation was forgotten (AUTOINCREMENT).
 * - `one_open` lets only one of two processes win that start work on one subject at the same time.
 * - Of a queued operation, worker_… is the process that was started for it, where that is known.
 */
const steps: readonly string[] = [
  `CREATE TABLE operation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    shared INTEGER NOT NULL,
    statement TEXT NOT NULL,
    work TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at_micros INTEGER NOT NULL,
    created_in TEXT NOT NULL,
    backup TEXT,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    worker_pid INTEGER,
    worker_started_at TEXT,
    worker_boot TEXT,
    worker_space TEXT,
    started_at_micros INTEGER,
    heartbeat_at_micros INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    phase TEXT NOT NULL DEFAULT 'Preparing',
    bytes_done INTEGER NOT NULL DEFAULT 0,
    bytes_total INTEGER,
    items_done INTEGER NOT NULL DEFAULT 0,
    items_total INTEGER,
    percent REAL NOT NULL DEFAULT 0,
    bytes_per_second REAL,
    seconds_left REAL,
    ended_at_micros INTEGER,
    outcome TEXT
  ) STRICT;
  CREATE UNIQUE INDEX one_open ON operation (subject) WHERE state <> 'done' AND shared = 0;
  CREATE INDEX open_ones ON operation (number) WHERE state <> 'done';
  CREATE INDEX by_kind ON operation (kind, number);`,
  // JSON of the type Limits; NULL until the operation is throttled.
  'ALTER TABLE operation ADD COLUMN limits TEXT',
  // JSON of the type Machine: where the worker runs, and where the operation was created. NULL in older rows.
  'ALTER TABLE operation ADD COLUMN worker_machine TEXT; ALTER TABLE operation ADD COLUMN created_on TEXT',
];

/** How long one statement waits for other processes; they hold the journal for milliseconds. */
const busyTimeoutMs = 5_000;
/**
 * Switching a new file to WAL mostly ignores the busy timeout; several processes may do it at the same time. If a file
 * was cut off while another process has it open, each try waits for the whole timeout, and none succeeds.
 */
const wal = {patienceMs: 3_000, pauseMs: 20};

/**
 * Opens the journal. Creates the folder (mode 0700), the file (mode 0600) and the tables where they are missing.
 * @throws BkpError `NEWER_VERSION` | `JOURNAL_UNAVAILABLE`; NotAFile; and what SQLite or the file system throws
 */
export function openJournalFile(file: string): DatabaseSync {
  makeFolderSync(dirname(file), 0o700);
  for (const path of [file, `${file}-wal`, `${file}-shm`]) requirePlainFile(path);
  // SQLite gives its -wal and -shm files the mode of the file itself.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, {timeout: busyTimeoutMs});
  try {
    prepareSchema(database, file);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Call it right after the journal was opened.
 * @returns whether its content was replaced under the open connection: the file was cut off, or another process began
 *   a new write-ahead log. SQLite still reads the old one then, which no other process can, and reports nothing. A
 *   journal that was moved away or removed is whole, for those who have it open
 */
export function replacementOf(file: string): () => boolean {
  const opened = {file: identityOf(file), wal: identityOf(`${file}-wal`)};
  return () => {
    const now = identityOf(file);
    if (now?.id !== opened.file?.id) return false;
    return now?.isEmpty === true || identityOf(`${file}-wal`)?.id !== opened.wal?.id;
  };
}

function identityOf(path: string): {id: string; isEmpty: boolean} | undefined {
  const facts = statSync(path, {bigint: true, throwIfNoEntry: false});
  return facts && {id: `${facts.dev}.${facts.ino}`, isEmpty: facts.size === 0n};
}

function prepareSchema(database: DatabaseSync, file: string): void {
  if (checkedVersion(database, file) === steps.length) return;
  enterWal(database);
  database.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have migrated while this one waited for the lock.
    for (const step of steps.slice(checkedVersion(database, file))) database.exec(step);
    database.exec(`PRAGMA user_version = ${steps.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function checkedVersion(database: DatabaseSync, file: string): number {
  // One statement, because another process may be migrating at the same time.
  const facts = database.prepare(
    'SELECT user_version, (SELECT count(*) FROM sqlite_schema) AS things FROM pragma_user_version',
  );
  const {user_version: version, things} = facts.get() as {user_version: number; things: number};
  if (version > steps.length) {
    throw new BkpError('NEWER_VERSION', `the journal ${file} was written by a newer bkp`, {
      cause: `its version is ${version}, and this bkp knows versions up to ${steps.length}`,
      next: 'update this bkp, or choose another home with --home or BKP_HOME',
      context: {file},
    });
  }
  if (version === 0 && things > 0) {
    throw new BkpError('JOURNAL_UNAVAILABLE', `${file} is a database, but not a journal of bkp`, {
      next: replaceIt(file),
    });
  }
  return version;
}

function enterWal(database: DatabaseSync): void {
  const startedAtMs = performance.now();
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (performance.now() - startedAtMs > wal.patienceMs || !isContention(error)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wal.pauseMs);
    }
  }
}
