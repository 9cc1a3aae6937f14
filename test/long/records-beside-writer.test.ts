import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {setTimeout as sleep} from 'node:timers/promises';
import {describe, expect, onTestFinished, test} from 'vitest';
import type {Snapshot} from '../../src/sources/index.ts';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {folder} from '../sources/sqlite/database.ts';
import {decodeRecords} from '../sources/sqlite/pages/extract-records.ts';
import {bytesOf, execute, recordsOf, takeTrees} from '../sources/sqlite/pages/records-of.ts';

const schema = `CREATE TABLE row (id INTEGER PRIMARY KEY, n INTEGER, filler BLOB);
  CREATE INDEX by_n ON row (n); CREATE TABLE total (rows INTEGER, sum INTEGER); INSERT INTO total VALUES (0, 0)`;

function newDatabase(pragmas: string): string {
  const path = join(folder(), 'app.db');
  execute(path, `${pragmas}; ${schema}`);
  return path;
}

async function startChild(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'inherit']});
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout!, 'data');
  return child;
}

const startWriter = (path: string, autocheckpoint: number) =>
  startChild([join(import.meta.dirname, '../sources/sqlite/children/busy-writer.ts'), path, String(autocheckpoint)]);

/** The table `row` by SQLite's own reading in the same transaction: rowid, n, filler. */
async function rowsOf(snapshot: Snapshot): Promise<string[]> {
  const base = await snapshot.base('row', {form: 'rows'});
  if (base.form !== 'rows') throw new Error('not rows');
  const rows: string[] = [];
  const db = new DatabaseSync(':memory:');
  for await (const {bytes} of base.rows) {
    db.deserialize(bytes);
    const all = db.prepare('SELECT id, n, hex(filler) AS filler FROM rows ORDER BY id').all();
    rows.push(...all.map(({id, n, filler}) => `${id} ${n} ${filler}`));
  }
  db.close();
  return rows;
}

describe('records taken beside a busy writer in another process are those of one moment', () => {
  test.each([
    ['WAL', 4096, 10],
    ['WAL', 4096, 1000],
    ['WAL', 512, 50],
    ['WAL', 65_536, 20],
    ['WAL', 4096, 0],
    ['DELETE', 4096, 0],
    ['TRUNCATE', 1024, 0],
  ] as const)('%s, pages of %d bytes, checkpoints after %d', {timeout: 120_000}, async (mode, page, autocheckpoint) => {
    const path = newDatabase(`PRAGMA page_size = ${page}; PRAGMA journal_mode = ${mode}`);
    const writer = await startWriter(path, autocheckpoint);
    const source = new SqliteSource(path);
    const seen = new Set<string>();
    for (let round = 0; round < 8 || (seen.size < 2 && round < 100); round++) {
      const snapshot = await source.snapshot({tables: ['row', 'total']});
      const trees = new Map<string, Buffer>();
      for (const table of ['row', 'total']) {
        const base = await snapshot.base(table);
        if (base.form !== 'records') throw new Error(base.reason);
        // The writer has time to commit, to checkpoint, to restart the log and to VACUUM.
        const taken = await takeTrees(base.trees, () => sleep(10));
        for (const [name, tree] of taken) trees.set(name, bytesOf(tree));
      }
      const rows = decodeRecords(trees.get('row')!, 'rowid', 'UTF-8');
      const [total] = decodeRecords(trees.get('total')!, 'rowid', 'UTF-8');
      const byN = decodeRecords(trees.get('by_n')!, 'key', 'UTF-8');
      const text = rows.map(
        ({rowid, values}) => `${rowid} ${values[1]} ${(values[2] as Buffer).toString('hex').toUpperCase()}`,
      );
      expect(text).toEqual(await rowsOf(snapshot));
      const sum = rows.reduce((all, {values}) => all + Number(values[1]), 0);
      expect([rows.length, sum]).toEqual(total!.values.map(Number));
      expect(byN.length).toBe(rows.length);
      await snapshot.confirm();
      await snapshot.close();
      seen.add(`${rows.length} ${sum}`);
      await sleep(10);
    }
    expect(writer.exitCode).toBeNull();
    expect(seen.size).toBeGreaterThan(1);
  });
});

test.each(['WAL', 'DELETE'])('VACUUM and DROP TABLE meanwhile change nothing that is read (%s)', async (mode) => {
  const path = newDatabase(`PRAGMA journal_mode = ${mode}`);
  const fill = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO row SELECT i * 2, i, zeroblob(i % 400) FROM n; DELETE FROM row WHERE id % 3 = 0`;
  execute(path, fill);
  const source = new SqliteSource(path);
  const wanted = await recordsOf(source, 'row');
  const other = new DatabaseSync(path, {timeout: 50});
  onTestFinished(() => other.close());
  const refused: string[] = [];
  const taken = await recordsOf(source, 'row', {
    meanwhile: () => {
      for (const sql of [
        'VACUUM',
        'PRAGMA wal_checkpoint(TRUNCATE)',
        'DROP INDEX IF EXISTS by_n',
        'DROP TABLE IF EXISTS row',
      ]) {
        try {
          other.exec(sql);
        } catch (error) {
          refused.push((error as Error).message);
        }
      }
    },
  });
  expect(taken).toEqual(wanted);
  if (mode === 'DELETE') expect(refused.length).toBeGreaterThan(0);
  else expect(other.prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE name = 'row'`).get()).toEqual({n: 0});
});

test('a hot journal that a killed writer left is rolled back before pages are read', async () => {
  const path = newDatabase('PRAGMA journal_mode = DELETE');
  execute(
    path,
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO row SELECT i, i, zeroblob(300) FROM n`,
  );
  const source = new SqliteSource(path);
  const wanted = await recordsOf(source, 'row');
  const size = statSync(path).size;
  const program = `
    const {DatabaseSync} = require('node:sqlite');
    const db = new DatabaseSync(process.argv[1]);
    // The pages that were changed leave the cache for the file before the commit.
    db.exec('PRAGMA cache_size = 5; PRAGMA cache_spill = 1; BEGIN; UPDATE row SET n = -n, filler = zeroblob(600)');
    console.log('spilled');
    setInterval(() => {}, 1000);`;
  const writer = await startChild(['-e', program, path]);
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  expect(existsSync(`${path}-journal`)).toBe(true);
  expect(statSync(path).size).toBeGreaterThan(size);
  expect(await recordsOf(source, 'row')).toEqual(wanted);
  expect(statSync(path).size).toBe(size);
});

/** A writer that is killed before its first commit, or after a checkpoint that truncated its log, leaves none. */
async function leaveLog(path: string): Promise<void> {
  for (let tries = 10; tries > 0; tries--) {
    const writer = await startWriter(path, 0);
    await sleep(1000);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    if ((statSync(`${path}-wal`, {throwIfNoEntry: false})?.size ?? 0) > 0) return;
  }
  throw new Error('no writer left a log');
}

test('a log that a killed writer left is read over the file', async () => {
  const path = newDatabase('PRAGMA journal_mode = WAL');
  await leaveLog(path);
  const source = new SqliteSource(path);
  const [row, total] = [await recordsOf(source, 'row'), await recordsOf(source, 'total')];
  const [first] = decodeRecords(bytesOf(total.get('total')), 'rowid', 'UTF-8');
  expect(decodeRecords(bytesOf(row.get('row')), 'rowid', 'UTF-8').length).toBe(Number(first!.values[0]));
});
