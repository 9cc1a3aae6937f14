import {existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, relative} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {onTestFinished} from 'vitest';
import {type RunResult, runBkp} from './bkp.ts';

/** A folder with a database, a home and a cluster, which is removed after the test. */
export type Desk = {
  folder: string;
  home: string;
  cluster: string;
  database: string;
  /** Runs the real bkp. */
  bkp: (...args: string[]) => Promise<RunResult>;
  /** `bkp sql`; expects exit status 0 and returns its output. */
  sql: (statement: string) => Promise<string>;
  /** `bkp sql --wait`; expects exit status 0. */
  sqlWait: (statement: string) => Promise<string>;
  /** Expects a refusal. */
  refused: (statement: string) => Promise<RunResult>;
  /** Runs SQL on the database itself. */
  exec: (text: string, file?: string) => void;
  all: (query: string, file?: string) => Record<string, unknown>[];
  /** The first column of each row. */
  column: (query: string, file?: string) => unknown[];
  /** Whether the folder has this file or folder. */
  has: (name: string) => boolean;
  remove: (...names: string[]) => void;
  /** Keys of all objects in the cluster. */
  storedKeys: () => string[];
};

/** The two tables of the public cases: `id` (key), `number`, `txt`. */
export const casesSchema = ['orders', 'products']
  .map(
    (table) =>
      `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, number INTEGER, txt TEXT);
       INSERT INTO ${table} VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three');`,
  )
  .join('\n');

export const createC = (incremental: boolean) =>
  `CREATE BACKUP COLLECTION c (TABLE orders, TABLE products) WITH (STORAGE='cluster', ` +
  `INCREMENTAL_BACKUP_ENABLED='${incremental}')`;

/** @param env in addition to the variables for database and cluster */
export function openDesk(schema = casesSchema, env: Record<string, string> = {}): Desk {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-desk-'));
  // A worker of a failed test may still be writing, so the removal is retried.
  onTestFinished(() => rmSync(folder, {recursive: true, force: true, maxRetries: 20, retryDelay: 100}));
  const home = join(folder, 'home');
  const cluster = join(folder, 'cluster');
  const database = join(folder, 'app.db');
  const withDatabase = <T>(file: string, use: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(file, {timeout: 60_000});
    try {
      return use(db);
    } finally {
      db.close();
    }
  };
  const bkp = (...args: string[]) =>
    runBkp(args, {home, env: {BKP_SOURCE: database, BKP_CLUSTER: cluster, ...env}, cwd: folder});
  const expectDone = async (args: string[]) => {
    const result = await bkp(...args);
    if (result.status !== 0)
      throw new Error(`bkp ${args.join(' ')} ended with ${result.status}:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  const all = (query: string, file = database) =>
    withDatabase(file, (db) => db.prepare(query).all() as Record<string, unknown>[]);
  if (schema !== '') withDatabase(database, (db) => db.exec(`PRAGMA journal_mode = WAL; ${schema}`));
  return {
    folder,
    home,
    cluster,
    database,
    bkp,
    sql: (statement) => expectDone(['sql', statement]),
    sqlWait: (statement) => expectDone(['sql', '--wait', statement]),
    refused: async (statement) => {
      const result = await bkp('sql', '--wait', statement);
      if (result.status === 0) throw new Error(`${statement} was not refused:\n${result.stdout}`);
      return result;
    },
    exec: (text, file = database) => withDatabase(file, (db) => db.exec(text)),
    all,
    column: (query, file = database) => all(query, file).map((row) => Object.values(row)[0]),
    has: (name) => existsSync(join(folder, name)),
    remove: (...names) => {
      for (const name of names) rmSync(join(folder, name), {recursive: true, force: true});
    },
    storedKeys: () =>
      readdirSync(cluster, {recursive: true, withFileTypes: true})
        .filter((entry) => entry.isFile())
        .map((entry) => relative(cluster, join(entry.parentPath, entry.name)))
        .sort(),
  };
}

/** Names of a collection's backups, oldest first. */
export async function backupsOf(desk: Desk, collection = 'c'): Promise<string[]> {
  const {stdout} = await desk.bkp('sql', '--format', 'json', `SHOW BACKUPS IN ${collection}`);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as {backup: string}).backup);
}
