import {execFileSync} from 'node:child_process';
import {chmodSync, existsSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import type {BkpError} from '../../src/errors/index.ts';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {takeFull} from '../sources/layers.ts';
import {asUser, Database, folder, full, owner} from '../sources/sqlite/database.ts';

const t = 'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)';

/** The error of every entry point. Each has a next step, and none is an internal error. */
async function refusals(path: string): Promise<BkpError[]> {
  const source = new SqliteSource(path);
  const errors: BkpError[] = [];
  for (const way of [
    () => source.describe('all'),
    () => source.snapshot({tables: ['t']}),
    () => source.snapshot({tables: ['t'], track: {owner}}),
    () => source.inspect(),
    () => source.acknowledge(owner, 'mark'),
  ]) {
    try {
      await way();
      errors.push({code: 'none'} as unknown as BkpError);
    } catch (error) {
      errors.push(error as BkpError);
    }
  }
  for (const {next} of errors) expect(next).toBeTruthy();
  return errors;
}

async function expectRefused(path: string, code: string, message: RegExp): Promise<void> {
  for (const error of await refusals(path)) {
    expect(error).toMatchObject({code, message: expect.stringMatching(message)});
    expect(error.message).toContain(path);
  }
}

describe('a path that is not a database', () => {
  test('a missing file or folder', async () => {
    const path = join(folder(), 'none.db');
    await expectRefused(path, 'SOURCE_UNAVAILABLE', /there is no database/);
    await expectRefused(join(path, 'deeper.db'), 'SOURCE_UNAVAILABLE', /there is no database/);
    expect(existsSync(path)).toBe(false);
    const source = new SqliteSource(path);
    expect(await source.identity()).toBeUndefined();
    expect(await source.tracking()).toEqual([]);
    expect(await source.describe(['t'])).toMatchObject([
      {name: 't', state: 'absent', reason: expect.stringContaining(path)},
    ]);
  });

  test('a directory, a pipe, a link to nowhere', async () => {
    const place = folder();
    await expectRefused(place, 'SOURCE_UNAVAILABLE', /is a directory/);
    const pipe = join(place, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expectRefused(pipe, 'SOURCE_UNAVAILABLE', /no ordinary file/);
    const link = join(place, 'link.db');
    symlinkSync(join(place, 'nowhere'), link);
    await expectRefused(link, 'SOURCE_UNAVAILABLE', /there is no database/);
  });

  test('a file of another kind', async () => {
    const path = join(folder(), 'text.db');
    writeFileSync(path, 'this is a text file, and long enough for a header of 100 bytes. '.repeat(50));
    await expectRefused(path, 'SOURCE_UNAVAILABLE', /not an SQLite database, or it is an encrypted one/);
  });

  test('an empty file is a database without tables', async () => {
    const path = join(folder(), 'empty.db');
    writeFileSync(path, '');
    const source = new SqliteSource(path);
    expect(await source.describe('all')).toEqual([]);
    expect(await source.describe(['t'])).toEqual([{name: 't', state: 'absent'}]);
    await expect(source.snapshot({tables: ['t']})).rejects.toMatchObject({code: 'TABLE_NOT_FOUND'});
  });
});

describe('a damaged database', () => {
  const rows =
    `${t}; WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT ` +
    'INTO t SELECT i, hex(randomblob(100)) FROM n';

  function broken(change: (bytes: Buffer) => Buffer): string {
    const database = new Database(rows);
    database.close();
    writeFileSync(database.path, change(readFileSync(database.path)));
    return database.path;
  }

  test('is reported as damaged when a damaged page is read', async () => {
    const path = broken((bytes) => bytes.fill(0xa5, 40 * 4096, 60 * 4096));
    const source = new SqliteSource(path);
    await expect(takeFull(source, {tables: ['t']})).rejects.toMatchObject({
      code: 'SOURCE_DAMAGED',
      next: expect.stringContaining('integrity_check'),
    });
  });

  test('is reported as damaged when its end is missing', async () => {
    const path = broken((bytes) => bytes.subarray(0, bytes.length / 2));
    await expect(takeFull(new SqliteSource(path), {tables: ['t']})).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
  });

  test('is reported as damaged when its schema is damaged', async () => {
    const path = broken((bytes) => bytes.fill(0xff, 100, 4096));
    await expectRefused(path, 'SOURCE_DAMAGED', /is damaged/);
  });
});

describe('a database that another process has locked', () => {
  test('is reported as locked after the timeout, and usable later', async () => {
    const database = new Database(t);
    database.exec('BEGIN EXCLUSIVE');
    const started = performance.now();
    await expect(full(database, ['t'])).rejects.toMatchObject({code: 'SOURCE_LOCKED', retryable: true});
    expect(performance.now() - started).toBeGreaterThan(3000);
    database.exec('COMMIT');
    await full(database, ['t']);
  });

  test('can be read in WAL mode while another process holds the write lock', async () => {
    const database = new Database(`PRAGMA journal_mode = WAL; ${t}`);
    database.exec('BEGIN IMMEDIATE; UPDATE t SET a = 2');
    const backup = await takeFull(database.source, {tables: ['t']});
    expect(backup.layers.t).toHaveLength(1);
  });
});

describe('a database that this user is not allowed to', () => {
  const user = 65534;

  function place(mode: number, folderMode: number, journal = 'DELETE'): {path: string; tidy: () => void} {
    const database = new Database(`PRAGMA journal_mode = ${journal}; ${t}`);
    database.close();
    const parent = join(database.path, '..');
    chmodSync(database.path, mode);
    chmodSync(parent, folderMode);
    return {path: database.path, tidy: () => chmodSync(parent, 0o755)};
  }

  test.skipIf(process.getuid?.() !== 0)('read', () => {
    const {path} = place(0o600, 0o755);
    expect(asUser(user, path, 'describe')).toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      next: expect.stringContaining('chmod'),
    });
    const inside = place(0o644, 0o700);
    expect(asUser(user, inside.path, 'describe')).toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  });

  test.skipIf(process.getuid?.() !== 0)('write: full backups work, tracking does not', () => {
    for (const [mode, folderMode] of [
      [0o444, 0o777],
      [0o666, 0o755],
      [0o444, 0o555],
    ] as const) {
      const {path} = place(mode, folderMode);
      expect(asUser(user, path, 'full')).toEqual({rows: 1});
      const error = asUser(user, path, 'track');
      expect(error).toMatchObject({code: expect.stringMatching(/^(PRECONDITION|SOURCE_UNAVAILABLE)$/)});
      expect(error.next).toContain('right');
    }
  });

  test.skipIf(process.getuid?.() !== 0)(
    'write, in WAL mode: not even read, because nobody could be kept from writing meanwhile',
    () => {
      const {path} = place(0o444, 0o555, 'WAL');
      expect(asUser(user, path, 'full')).toMatchObject({
        code: 'SOURCE_UNAVAILABLE',
        next: expect.stringContaining('WAL'),
      });
    },
  );

  test.skipIf(process.getuid?.() !== 0)('write into its folder: a restore says so', () => {
    const {path} = place(0o644, 0o755);
    const error = asUser(user, join(path, '..', 'new.db'), 'stage');
    expect(error).toMatchObject({code: expect.stringMatching(/^(PRECONDITION|SOURCE_UNAVAILABLE)$/)});
    expect(error.next).toContain('right');
  });
});
