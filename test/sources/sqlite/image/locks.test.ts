import {execFileSync} from 'node:child_process';
import {closeSync, openSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test, vi} from 'vitest';
import {isInWalMode, lastWriter} from '../../../../src/sources/sqlite/engine/check-file.ts';
import {RawFile} from '../../../../src/sources/sqlite/engine/raw-file.ts';
import {SqliteFileSource} from '../../../../src/sources/sqlite/file/files.ts';
import {openImage, openReading} from '../../../../src/sources/sqlite/image/image.ts';
import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {folder} from '../database.ts';

/** What another process gets that writes without waiting: `written`, or SQLite's message. */
function writeElsewhere(path: string): string {
  const program = `
    const {DatabaseSync} = require('node:sqlite');
    const db = new DatabaseSync(process.argv[1], {timeout: 0});
    try { db.exec('INSERT INTO t (a) VALUES (1)'); console.log('written'); } catch (e) { console.log(e.message); }`;
  return execFileSync(process.execPath, ['-e', program, path], {encoding: 'utf8'}).trim();
}

/** A database in rollback mode. No connection of this process stays open: its close would drop locks. */
function newDatabase(): string {
  const path = join(folder(), 'app.db');
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES (0)');
  db.close();
  return path;
}

const locked = 'database is locked';
const quiet = {hold: 'test', signal: new AbortController().signal, notice: () => {}, nowMicros: () => 0};

test('while a snapshot is open, nothing that bkp does lets another process write in rollback mode', async () => {
  const path = newDatabase();
  const link = join(folder(), 'link.db');
  symlinkSync(path, link);
  const source = new SqliteSource(path);
  const snapshot = await source.snapshot({tables: ['t']});
  expect(writeElsewhere(path)).toBe(locked);
  expect(lastWriter(path)).toBeGreaterThan(3_000_000);
  expect(isInWalMode(link)).toBe(false);
  expect(writeElsewhere(path)).toBe(locked);
  await source.describe('all');
  await source.inspect();
  await new SqliteFileSource(path).freeze(quiet).then((frozen) => frozen.release());
  const second = await new SqliteSource(link).snapshot({tables: ['t']});
  await second.close();
  const other = await openImage(path);
  other.close();
  new RawFile(path).close();
  expect(writeElsewhere(path)).toBe(locked);
  await snapshot.confirm();
  await snapshot.close();
  expect(writeElsewhere(path)).toBe('written');
});

test('the last of several snapshots closes the files of all', async () => {
  const path = newDatabase();
  const [first, second] = [await openImage(path), await openImage(path)];
  const {file} = await first.image.files();
  first.close();
  expect(writeElsewhere(path)).toBe(locked);
  second.close();
  expect(writeElsewhere(path)).toBe('written');
  expect(() => closeSync(file)).toThrow('EBADF');
});

test('a file opened and closed by anything else drops the lock, which these tests would notice', async () => {
  const path = newDatabase();
  const reading = await openImage(path);
  closeSync(openSync(path, 'r'));
  expect(writeElsewhere(path)).toBe('written');
  reading.close();
});

test('files that only SQLite can open give a reading without an image, whose transaction holds', async () => {
  const path = newDatabase();
  const db = new DatabaseSync(path);
  onTestFinished(() => db.close());
  db.exec('PRAGMA journal_mode = WAL; INSERT INTO t (a) VALUES (1)');
  vi.spyOn(RawFile.prototype, 'hold').mockImplementation(() => {
    throw new Error('sharing violation');
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const reading = await openReading(path);
  db.exec('INSERT INTO t (a) VALUES (2)');
  expect(reading).toMatchObject({image: undefined, obstacle: {message: 'sharing violation'}, mode: 'wal'});
  expect(reading.connection.number('SELECT count(*) FROM t')).toBe(2);
  await reading.confirm();
  reading.close();
  await expect(openImage(path)).rejects.toThrow('sharing violation');
});

test('an ended transaction is not confirmed', async () => {
  const path = newDatabase();
  const reading = await openReading(path);
  reading.connection.rollback();
  await expect(reading.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  reading.close();
  writeFileSync(path, '');
  const empty = await openImage(path);
  expect(empty.image.pages).toBe(0);
  empty.close();
});

test('only RawFile opens a source beside SQLite; other files that open any have the target of a restore', () => {
  const src = join(import.meta.dirname, '../../../../src/sources/sqlite');
  const opening = readdirSync(src, {recursive: true, encoding: 'utf8'})
    .filter((file) => file.endsWith('.ts'))
    .filter((file) =>
      [...readFileSync(join(src, file), 'utf8').matchAll(/import \{([^}]*)\} from 'node:fs(?:\/promises)?'/g)].some(
        ([, names]) => /\b(?:open|openSync|readFile|readFileSync|createReadStream)\b/.test(names!),
      ),
    );
  expect(opening.sort()).toEqual([
    // A journal beside another name of the file: SQLite locks none.
    'engine/other-names.ts',
    'engine/raw-file.ts',
    'file/restored.ts',
    'file/target.ts',
    'layout/page-layout.ts',
    'restore/index-progress.ts',
    'restore/place-new-file.ts',
    'restore/restored-content.ts',
    'restore/take-over.ts',
  ]);
});
