import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';
import {restore, takeFull} from '../sources/layers.ts';
import {folder} from '../sources/sqlite/database.ts';

/** SQLite locks bytes of the page that begins here or contains this byte, and never uses that page. */
const lockedByte = 0x40000000;

test.each([65536, 8192])(
  'tables around the page with the bytes that SQLite locks come back (pages of %i bytes)',
  async (pageBytes) => {
    const path = join(folder(), 'app.db');
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = off; PRAGMA synchronous = off;
      CREATE TABLE filler (b); CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE INDEX t_a ON t (a);
      CREATE TABLE w (k TEXT PRIMARY KEY, b) WITHOUT ROWID`);
    const fill = (bytes: number) => db.prepare('INSERT INTO filler VALUES (zeroblob(?))').run(bytes);
    fill(lockedByte / 2);
    fill(lockedByte / 2 - 64 * pageBytes);
    const insert = db.prepare('INSERT INTO t VALUES (?, ?, randomblob(?))');
    const insertKey = db.prepare('INSERT INTO w VALUES (?, randomblob(?))');
    db.exec('BEGIN');
    for (let id = 0; id < 60; id++) {
      insert.run(id, `key ${(id * 7) % 60}`, id % 9 === 0 ? 40 * pageBytes : 100);
      insertKey.run(`key ${(id * 11) % 60} ${'x'.repeat(200)}`, id % 7 === 0 ? 9 * pageBytes : 300);
    }
    db.exec('COMMIT');
    expect(Number(db.prepare('PRAGMA page_count').get()!.page_count)).toBeGreaterThan(lockedByte / pageBytes + 20);
    const tables = ['t', 'w'];
    const check = async () => {
      const backup = await takeFull(new SqliteSource(path), {tables});
      for (const [base] of Object.values(backup.layers)) expect(base).toMatchObject({form: 'records'});
      const target = join(folder(), 'new.db');
      await restore(new SqliteSource(target), backup);
      expectSame(target, path, tables);
    };
    await check();
    // The freed pages are used again in the order of the list, on both sides of that page.
    db.exec('DROP TABLE filler; BEGIN');
    for (let id = 100; id < 2000; id++) insert.run(id, `key ${(id * 7) % 60}`, id % 90 === 0 ? 30 * pageBytes : 900);
    db.exec('COMMIT; DELETE FROM t WHERE id % 3 = 0');
    await check();
    db.close();
  },
);
