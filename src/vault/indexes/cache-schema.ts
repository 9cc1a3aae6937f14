import {closeSync, fchmodSync, mkdirSync, openSync, rmSync} from 'node:fs';
import {dirname} from 'node:path';
import {DatabaseSync} from 'node:sqlite';

const schemaVersion = 3;

/** How long another process of ours may hold the file. */
const busyTimeoutMs = 20_000;

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
  CREATE TABLE retained (key TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Empty, in a temporary file of SQLite's own, which goes with its connection. */
export function openPrivate(): DatabaseSync {
  const db = new DatabaseSync('');
  // In one transaction, of which nothing need be kept: a fifth of the time, and each opening of a vault makes two of these.
  db.exec(`PRAGMA synchronous = OFF; BEGIN; ${schema}; COMMIT`);
  return db;
}

/** The cache in `file`, made when there is none. @throws when the file is not the cache of this vault */
export function openFile(file: string, vaultId: string): DatabaseSync {
  mkdirSync(dirname(file), {recursive: true, mode: 0o700});
  makePrivate(file);
  const db = new DatabaseSync(file, {timeout: busyTimeoutMs});
  try {
    // With WAL, NORMAL is safe against a power cut: what is lost is read from the store again.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
    const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number};
    if (tables.n === 0) {
      db.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`);
      db.prepare('INSERT INTO vault VALUES (?)').run(vaultId);
    }
    const version = db.prepare('PRAGMA user_version').get() as {user_version: number};
    const owner = db.prepare('SELECT id FROM vault').get() as {id: string} | undefined;
    if (version.user_version !== schemaVersion || owner?.id !== vaultId)
      throw new Error(`${file} is of something else`);
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** It holds copies of manifests, which nobody else is to read. SQLite gives its -wal and -shm files the mode of the file itself. */
function makePrivate(file: string): void {
  const descriptor = openSync(file, 'a', 0o600);
  try {
    // An earlier version made it readable for all.
    fchmodSync(descriptor, 0o600);
  } finally {
    closeSync(descriptor);
  }
}

export function removeFile(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, {force: true});
}
