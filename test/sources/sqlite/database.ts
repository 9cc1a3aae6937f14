import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {onTestFinished} from 'vitest';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {expectSame} from '../../helpers/sqlite-compare.ts';
import {type Backup, type Form, restore, takeFull, takeIncrement} from '../layers.ts';

/** A folder that is removed after the test. */
export function folder(parent = tmpdir()): string {
  const path = mkdtempSync(join(parent, 'bkp-sqlite-'));
  onTestFinished(() => rmSync(path, {recursive: true, force: true}));
  return path;
}

/** A test's own database, with a connection like an application's. */
export class Database {
  readonly path: string;
  readonly db: DatabaseSync;
  readonly source: SqliteSource;

  constructor(schema = '', {path = join(folder(), 'app.db'), foreignKeys = false} = {}) {
    this.path = path;
    this.db = new DatabaseSync(path, {
      enableForeignKeyConstraints: foreignKeys,
      timeout: 5000,
      enableDoubleQuotedStringLiterals: true,
    });
    onTestFinished(() => this.close());
    // The tests kill processes, not machines: syncing would only cost time.
    this.db.exec(`PRAGMA synchronous = OFF; ${schema}`);
    this.source = new SqliteSource(path);
  }

  exec(sql: string): void {
    this.db.exec(sql);
  }

  value(sql: string): unknown {
    return Object.values(this.db.prepare(sql).get() ?? {})[0];
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
  }
}

export const owner = 'collection-1';

export function full(
  database: Database,
  tables: readonly string[],
  previous?: Backup | undefined,
  form?: Form,
): Promise<Backup> {
  return takeFull(database.source, {tables, track: {owner}, form, ...(previous === undefined ? {} : {previous})});
}

export function fullOfRows(database: Database, tables: readonly string[], previous?: Backup): Promise<Backup> {
  return full(database, tables, previous, 'rows');
}

export function increment(database: Database, parent: Backup, form?: Form): Promise<Backup> {
  return takeIncrement(database.source, owner, parent, {form});
}

/** Restores into a new file and compares every bit of the backup's tables. */
export async function expectComesBack(database: Database, backup: Backup): Promise<string> {
  const path = join(folder(), 'restored.db');
  await restore(new SqliteSource(path), backup);
  expectSame(
    path,
    database.path,
    backup.schemas.map((schema) => schema.name),
  );
  return path;
}

/** Takes a full backup, makes the changes, takes an increment: restored, it equals the current database. */
export async function expectTracked(schema: string, changes: string, tables: readonly string[] = ['t']): Promise<void> {
  const database = new Database(schema);
  const base = await full(database, tables);
  database.exec(changes);
  await expectComesBack(database, await increment(database, base));
}

export function filesIn(path: string): string[] {
  return readdirSync(path).sort();
}

/** What a source reports to another user; in a separate process, because root may do everything. */
export function asUser(uid: number, path: string, what: 'describe' | 'full' | 'track' | 'stage') {
  const child = join(import.meta.dirname, 'children', 'as-user.ts');
  const output = execFileSync(process.execPath, [child, String(uid), path, what], {encoding: 'utf8'});
  return JSON.parse(output) as {code?: string; message?: string; next?: string; rows?: number};
}
