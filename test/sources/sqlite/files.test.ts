import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {setTimeout as sleep} from 'node:timers/promises';
import {describe, expect, onTestFinished, test} from 'vitest';
import {SqliteFileSource} from '../../../src/sources/sqlite/file/files.ts';
import {openImage} from '../../../src/sources/sqlite/image/image.ts';
import {eventually} from '../../helpers/eventually.ts';
import {Database, folder} from './database.ts';

const quiet = {
  hold: 'test',
  signal: new AbortController().signal,
  notice: () => {},
  nowMicros: () => Date.now() * 1000,
};

async function imageOf(path: string): Promise<Buffer> {
  const frozen = await new SqliteFileSource(path).freeze(quiet);
  try {
    const parts: Uint8Array[] = [];
    for await (const file of frozen.files()) for await (const block of frozen.read(file)) parts.push(block);
    await frozen.confirm();
    return Buffer.concat(parts);
  } finally {
    await frozen.release();
  }
}

/** The content of a database file that no other process uses. */
function check(image: Buffer): {rows: number; sum: number} {
  const path = join(folder(), 'image.db');
  writeFileSync(path, image);
  const db = new DatabaseSync(path);
  onTestFinished(() => db.close());
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
  const found = db.prepare('SELECT count(*) AS rows, coalesce(sum(n), 0) AS sum FROM row').get() as never;
  expect(db.prepare('SELECT rows, sum FROM total').get()).toEqual(found);
  return found;
}

const schema = `CREATE TABLE row (id INTEGER PRIMARY KEY, n INTEGER, filler BLOB);
  CREATE INDEX by_n ON row (n); CREATE TABLE total (rows INTEGER, sum INTEGER); INSERT INTO total VALUES (0, 0)`;

/** A database without a connection of this process, which would lose its locks. */
function newDatabase(pragmas: string): string {
  const path = join(folder(), 'app.db');
  const db = new DatabaseSync(path);
  db.exec(`${pragmas}; ${schema}`);
  db.close();
  return path;
}

async function startWriter(path: string, autocheckpoint: number): Promise<ChildProcess> {
  const child = join(import.meta.dirname, 'children', 'busy-writer.ts');
  const writer = spawn(process.execPath, [child, path, String(autocheckpoint)], {stdio: ['ignore', 'pipe', 'inherit']});
  onTestFinished(async () => {
    if (writer.exitCode !== null || writer.signalCode !== null) return;
    writer.kill('SIGKILL');
    await once(writer, 'exit');
  });
  await once(writer.stdout!, 'data');
  return writer;
}

/** Waits until the log holds more than a first, half-written transaction. */
function hasWritten(path: string): Promise<void> {
  return eventually(() => expect(statSync(`${path}-wal`).size).toBeGreaterThan(100_000));
}

describe('under a busy writer in another process', () => {
  // Automatic checkpoints after few frames, after the usual number, never; small and large pages.
  test.each([
    ['WAL', 4096, 10],
    ['WAL', 4096, 1000],
    ['WAL', 512, 50],
    ['WAL', 65_536, 20],
    ['WAL', 4096, 0],
    ['DELETE', 4096, 0],
  ] as const)(
    '%s, pages of %d bytes, checkpoints after %d: every image is one moment',
    async (mode, page, autocheckpoint) => {
      const path = newDatabase(`PRAGMA page_size = ${page}; PRAGMA journal_mode = ${mode}`);
      const writer = await startWriter(path, autocheckpoint);
      const seen = new Set<string>();
      // More rounds only if the writer did not commit between the snapshots so far.
      for (let round = 0; round < 12 || (seen.size < 2 && round < 200); round++) {
        const reading = await openImage(path, {...quiet, ...(round % 3 === 0 ? {tries: 0} : {})});
        const wanted = Buffer.from(reading.connection.serialize('main'));
        const parts: Buffer[] = [];
        // The writer has time to commit, to checkpoint and to restart the log between the pages.
        for await (const block of reading.image.read(65_536)) {
          parts.push(block);
          if (parts.length % 4 === 1) await sleep(3);
        }
        const held = Buffer.from(reading.connection.serialize('main'));
        await reading.confirm();
        reading.close();
        const found = Buffer.concat(parts);
        expect(held.equals(wanted)).toBe(true);
        expect(found.equals(wanted), `round ${round}`).toBe(true);
        if (round % 4 === 0) seen.add(JSON.stringify(check(found)));
        await sleep(10);
      }
      expect(writer.exitCode).toBeNull();
      expect(seen.size).toBeGreaterThan(1);
    },
  );

  test('every backup is a complete database', async () => {
    const path = newDatabase('PRAGMA journal_mode = WAL');
    await startWriter(path, 20);
    for (let round = 0; round < 3; round++) check(await imageOf(path));
  });
});

describe('the image of a database at rest', () => {
  test('is its file, byte by byte, without a log', async () => {
    const database = new Database(
      'PRAGMA journal_mode = DELETE; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(300000))',
    );
    database.close();
    expect((await imageOf(database.path)).equals(readFileSync(database.path))).toBe(true);
  });

  test("equals SQLite's recovery of a log that a killed process left", async () => {
    const path = newDatabase('PRAGMA journal_mode = WAL');
    const writer = await startWriter(path, 0);
    await hasWritten(path);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    check(await imageOf(path));
  });

  test('is empty for an empty file', async () => {
    const path = join(folder(), 'empty.db');
    writeFileSync(path, '');
    expect((await imageOf(path)).length).toBe(0);
  });

  test('equals what SQLite reads when the file is shorter than the database', async () => {
    const path = newDatabase('PRAGMA journal_mode = WAL');
    const db = new DatabaseSync(path);
    onTestFinished(() => db.close());
    db.exec(`PRAGMA wal_autocheckpoint = 0;
      BEGIN; INSERT INTO row (filler) VALUES (randomblob(200000)); DELETE FROM row; COMMIT`);
    const reading = await openImage(path, quiet);
    const parts: Buffer[] = [];
    for await (const block of reading.image.read(65_536)) parts.push(block);
    const wanted = Buffer.from(reading.connection.serialize('main'));
    reading.close();
    expect(wanted.length).toBeGreaterThan(statSync(path).size + 100_000);
    expect(Buffer.concat(parts).equals(wanted)).toBe(true);
  });
});

test('a database keeps its data id, and gets one at first use', async () => {
  const path = newDatabase('PRAGMA journal_mode = WAL');
  const source = new SqliteFileSource(path);
  const id = await source.dataId();
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  const moved = join(folder(), 'moved.db');
  renameSync(path, moved);
  expect(await new SqliteFileSource(moved).dataId()).toBe(id);
});

test('its facts name the tables except those of bkp', async () => {
  const path = newDatabase('PRAGMA journal_mode = WAL');
  const source = new SqliteFileSource(path);
  await source.dataId();
  const frozen = await source.freeze(quiet);
  expect(frozen.facts).toMatchObject({product: 'sqlite', tables: [{name: 'row'}, {name: 'total'}]});
  await frozen.release();
  await frozen.release();
});

test('one notice reports that the database is not in WAL mode', async () => {
  const path = newDatabase('PRAGMA journal_mode = DELETE');
  const notices: string[] = [];
  const frozen = await new SqliteFileSource(path).freeze({...quiet, notice: (text) => notices.push(text)});
  await frozen.release();
  expect(notices).toEqual([expect.stringContaining('writers wait')]);
});

test("a log with one wrong byte in the snapshot's frames is refused, and nothing is read from it", async () => {
  const path = newDatabase('PRAGMA journal_mode = WAL');
  // Not closed: a connection that reopens the log would recover the frames before the damage.
  const db = new DatabaseSync(path);
  onTestFinished(() => db.close());
  db.exec('INSERT INTO row (filler) VALUES (randomblob(200000))');
  const wal = openSync(`${path}-wal`, 'r+');
  writeSync(wal, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), 0, 8, 32 + 24 + 1000);
  closeSync(wal);
  await expect(imageOf(path)).rejects.toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: expect.stringContaining('frame 1 has a wrong checksum'),
  });
});

test('a damaged file, or one that is not a database, is reported', async () => {
  const path = join(folder(), 'none.db');
  await expect(imageOf(path)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, 'this is a text file, and long enough for a header of 100 bytes. '.repeat(50));
  await expect(imageOf(path)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  const cut = newDatabase('PRAGMA journal_mode = DELETE');
  truncateSync(cut, 4096);
  await expect(imageOf(cut)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
});
