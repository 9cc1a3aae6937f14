import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {median} from './measure.ts';
import {bkpCommand} from './tools.ts';

const rows = 300_000;
const pairs = 5;

/** A bulk insert in one transaction, with and without change tracking, in pairs. */
export async function trackingOverhead(work: string): Promise<void> {
  const place = {folder: join(work, 'tracking'), database: join(work, 'tracking.db')};
  rmSync(place.folder, {recursive: true, force: true});
  for (const end of ['', '-wal', '-shm']) rmSync(place.database + end, {force: true});
  mkdirSync(place.folder, {recursive: true});
  const db = new DatabaseSync(place.database);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE tracked (id INTEGER PRIMARY KEY, customer INTEGER, note TEXT, at TEXT);
    CREATE TABLE plain (id INTEGER PRIMARY KEY, customer INTEGER, note TEXT, at TEXT);
    CREATE INDEX tracked_by_customer ON tracked (customer);
    CREATE INDEX plain_by_customer ON plain (customer);`);
  await bkpCommand(place, ['config', 'set', 'source', `sqlite::path=${place.database}`]);
  await bkpCommand(place, [
    'sql',
    "CREATE BACKUP COLLECTION c (TABLE tracked) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')",
  ]);
  await bkpCommand(place, ['sql', '--wait', 'BACKUP c']);
  const insert = (table: string) => {
    const started = performance.now();
    const add = db.prepare(`INSERT INTO ${table} (customer, note, at) VALUES (?, ?, ?)`);
    db.exec('BEGIN');
    for (let row = 0; row < rows; row++)
      add.run((row * 7919) % 10_007, 'a note of some length for each row', '2026-11-21T12:00:00Z');
    db.exec('COMMIT');
    return (performance.now() - started) / 1000;
  };
  const ratios: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const order = pair % 2 === 0 ? ['tracked', 'plain'] : ['plain', 'tracked'];
    const seconds = Object.fromEntries(order.map((table) => [table, insert(table)]));
    ratios.push(seconds.tracked! / seconds.plain!);
  }
  db.close();
  console.log(
    `\nchange tracking on a bulk insert of ${rows} rows (one index): ${median(ratios).toFixed(2)} ` +
      'times the time without it',
  );
}
