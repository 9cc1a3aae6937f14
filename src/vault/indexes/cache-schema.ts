import {closeSync, fchmodSync, openSync, rmSync} from 'node:fs';
import {dirname} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {makeFolderSync} from '../../lib/files.ts';
import {requirePlainFile} from '../../lib/plain-file.ts';

const schemaVersion = 4;

/** How long to wait while another process of bkp holds the file. */
const busyTimeoutMs = 20_000;

/** Of the file, and of those that SQLite keeps beside it. */
const suffixes = ['', '-wal', '-shm'];

const schema = `
  CREATE TABLE vault (id TEXT NOT NULL);
  CREATE TABLE indexes (id BLOB PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE packs (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, length INTEGER NOT NULL);
  CREATE TABLE listings (index_id BLOB, pack INTEGER, PRIMARY KEY (index_id, pack)) WITHOUT ROWID;
  CREATE TABLE chunks (
    id BLOB, pack INTEGER, offset INTEGER NOT NULL, stored INTEGER NOT NULL, plain INTEGER NOT NULL,
    encoding INTEGER NOT NULL, base BLOB, PRIMARY KEY (id, pack)
  ) WITHOUT ROWID;
  CREATE INDEX chunks_of_pack ON chunks (pack, offset);
  CREATE INDEX listings_of_pack ON listings (pack);
  CREATE TABLE objects (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, size INTEGER NOT NULL, checksum BLOB NOT NULL, bytes BLOB NOT NULL
  );
  CREATE TABLE last_commits (prefix TEXT PRIMARY KEY, manifest TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE retained (key TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID;
`;

/** An empty database in a temporary file of SQLite, deleted with the connection. */
export function openPrivate(): DatabaseSync {
  const db = new DatabaseSync('');
  // One transaction without synchronisation takes a fifth of the time, and each opening of a vault creates two
  // of these.
  db.exec(`PRAGMA synchronous = OFF; BEGIN; ${schema}; COMMIT`);
  return db;
}

/** Opens the cache in `file`, or creates it. @throws if the file is not the cache of this vault */
export function openFile(file: string, vaultId: string): DatabaseSync {
  makeFolderSync(dirname(file), 0o700);
  makePrivate(file);
  const db = new DatabaseSync(file, {timeout: busyTimeoutMs});
  try {
    // With WAL, NORMAL survives a power cut without damage; lost rows are read from the store again.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
    const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number};
    if (tables.n === 0) {
      db.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`);
      db.prepare('INSERT INTO vault VALUES (?)').run(vaultId);
    }
    const version = db.prepare('PRAGMA user_version').get() as {user_version: number};
    const owner = db.prepare('SELECT id FROM vault').get() as {id: string} | undefined;
    if (version.user_version !== schemaVersion || owner?.id !== vaultId)
      throw new Error(`${file} is not the cache of this vault`);
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * The cache holds copies of manifests, which are private. SQLite gives its -wal and -shm files the mode of the
 * file itself.
 */
function makePrivate(file: string): void {
  for (const suffix of suffixes) requirePlainFile(file + suffix);
  const descriptor = openSync(file, 'a', 0o600);
  try {
    // Earlier versions created it readable for everyone.
    fchmodSync(descriptor, 0o600);
  } finally {
    closeSync(descriptor);
  }
}

export function removeFile(file: string): void {
  for (const suffix of suffixes) rmSync(file + suffix, {force: true});
}
