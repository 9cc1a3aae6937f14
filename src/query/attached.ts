import {randomBytes} from 'node:crypto';
import type {DatabaseSync} from 'node:sqlite';
import {BkpError} from '../errors/index.ts';
import type {OpenedTables} from './catalogue.ts';
import {quoted} from './database.ts';

/** A database file with tables of a backup, and the name under which a query uses it. */
export type AttachedFile = {database: string; path: string};

/** SQLite's own limit. */
export const mostAttached = 10;

/** The tables of backups in a statement's database. */
export type Attached = {
  /** As the statement writes each of the tables asked for. */
  written: readonly string[];
  /** Their names, which nobody can guess: so a statement reads nothing that it does not name with its backup. */
  names: readonly string[];
};

/** https://www.sqlite.org/fileformat2.html#text_encoding */
const encodingAt = 56;
const encodings: Readonly<Record<number, string>> = {1: 'UTF-8', 2: 'UTF-16le', 3: 'UTF-16be'};

/** @throws BkpError `UNSUPPORTED` when the databases store text in different ways */
export function encodingOf({databases}: OpenedTables): string | undefined {
  const [first, ...others] = new Set(
    databases.map(({empty}) => encodings[new DataView(empty.buffer, empty.byteOffset).getUint32(encodingAt)]),
  );
  if (others.length === 0) return first;
  throw new BkpError('UNSUPPORTED', 'the SELECT reads backups of databases with different text encodings', {
    next: 'read them one at a time; bkp export writes each to a file',
  });
}

const databaseName = (n: number) => `backup ${n}`;

/**
 * Attaches databases whose tables have no rows.
 * @throws SQLite's error when it cannot read their schemas
 */
export function attachEmpty(database: DatabaseSync, opened: OpenedTables): Attached {
  for (const [n, {empty}] of opened.databases.entries()) {
    database.exec(`ATTACH ':memory:' AS ${quoted(databaseName(n))}`);
    database.deserialize(empty, {dbName: databaseName(n)});
  }
  const secret = randomBytes(12).toString('hex');
  const names = opened.tables.map(({database: n, name}) => {
    const first = opened.tables.findIndex((other) => other.database === n && other.name === name);
    return `t${secret}${first}`;
  });
  rename(database, opened, names);
  return {names, written: opened.tables.map(({database: n}, at) => `${quoted(databaseName(n))}.${quoted(names[at]!)}`)};
}

/** Replaces the databases without rows by the files with rows. */
export function attachLoaded(
  database: DatabaseSync,
  {opened, names, paths}: {opened: OpenedTables; names: readonly string[]; paths: readonly string[]},
): readonly AttachedFile[] {
  const files = paths.map((path, n) => ({database: databaseName(n), path}));
  for (const {database: name} of files) database.exec(`DETACH ${quoted(name)}`);
  attachFiles(database, files);
  for (const {database: name} of files) {
    // Nothing needs the files after this process.
    database.exec(`PRAGMA ${quoted(name)}.journal_mode = MEMORY; PRAGMA ${quoted(name)}.synchronous = OFF`);
  }
  rename(database, opened, names);
  return files;
}

export function attachFiles(database: DatabaseSync, files: readonly AttachedFile[]): void {
  for (const {database: name, path} of files) database.prepare(`ATTACH ? AS ${quoted(name)}`).run(path);
}

function rename(database: DatabaseSync, {tables}: OpenedTables, names: readonly string[]): void {
  const renamed = new Set<string>();
  for (const [at, {database: n, name}] of tables.entries()) {
    if (renamed.has(names[at]!)) continue;
    renamed.add(names[at]!);
    database.exec(`ALTER TABLE ${quoted(databaseName(n))}.${quoted(name)} RENAME TO ${quoted(names[at]!)}`);
  }
}
