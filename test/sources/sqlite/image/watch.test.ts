import {execFileSync} from 'node:child_process';
import {copyFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, expect, onTestFinished, test, vi} from 'vitest';
import {systemClock} from '../../../../src/lib/clock.ts';
import {openReading, type Reading} from '../../../../src/sources/sqlite/image/image.ts';
import {folder} from '../database.ts';

// What a backup notices of programs that write into the files of a database without SQLite's locks.

afterEach(() => void vi.restoreAllMocks());

/** Runs in another process, which blocks this one: nothing looks at the file meanwhile. */
function elsewhere(path: string, code: string): void {
  const head = `
    const {DatabaseSync} = require('node:sqlite');
    const {copyFileSync} = require('node:fs');
    const path = process.argv[1];
    const url = require('node:url').pathToFileURL(path).href;
    const open = (at = path) => new DatabaseSync(at, {timeout: 0});`;
  execFileSync(process.execPath, ['-e', `${head} ${code}`, path]);
}

/** Closed after the test: a close would drop the locks of this process. */
function newDatabase(mode: 'delete' | 'wal'): {path: string; db: DatabaseSync} {
  const path = join(folder(), 'app.db');
  elsewhere(path, `open().exec("PRAGMA journal_mode = ${mode}; CREATE TABLE t (a); INSERT INTO t VALUES (0)")`);
  copyFileSync(path, `${path}.other`);
  const db = new DatabaseSync(path);
  onTestFinished(() => db.close());
  return {path, db};
}

const reading = async (path: string): Promise<Reading> => {
  const opened = await openReading(path);
  onTestFinished(() => opened.close());
  expect(opened.image).toBeDefined();
  await opened.confirm();
  return opened;
};

const expectChanged = (opened: Reading, path: string, cause: string) =>
  expect(opened.confirm()).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    message: `${path} changed while it was read`,
    cause: expect.stringContaining(cause),
  });

const wrote = 'a program that ignores its locks wrote into it';
const insert = (at: string) => `open(${at}).exec('INSERT INTO t VALUES (1)')`;
const copyOver = `copyFileSync(path + '.other', path)`;

test.each([
  ['writes without locks', `open(new URL(url + '?nolock=1')).exec('INSERT INTO t VALUES (2)')`],
  ['copies a file over it', copyOver],
])('without a log, nothing is confirmed if a program %s', async (_, code) => {
  const {path} = newDatabase('delete');
  elsewhere(path, insert(''));
  const opened = await reading(path);
  elsewhere(path, code);
  await expectChanged(opened, path, wrote);
});

test('so it is with a copy that has seen as many transactions, and so the same header', async () => {
  const {path} = newDatabase('delete');
  elsewhere(path, insert(''));
  elsewhere(path, `open(path + '.other').exec('UPDATE t SET a = 7')`);
  const opened = await reading(path);
  elsewhere(path, copyOver);
  await expectChanged(opened, path, wrote);
});

test('with a log, writers and their checkpoints are no reason', async () => {
  const {path, db} = newDatabase('wal');
  db.exec('INSERT INTO t VALUES (1)');
  const opened = await reading(path);
  for (const code of [insert(''), `open().exec('PRAGMA wal_checkpoint')`, insert('')]) {
    elsewhere(path, code);
    await opened.confirm();
  }
});

test('with a log, nothing is confirmed if a file is copied over it whose header is the same', async () => {
  const {path, db} = newDatabase('wal');
  db.exec('INSERT INTO t VALUES (1)');
  const opened = await reading(path);
  elsewhere(path, copyOver);
  await expectChanged(opened, path, wrote);
});

test('a write is waited for where it may be that of a checkpoint which was interrupted before', async () => {
  const path = join(folder(), 'app.db');
  const kill = `process.kill(process.pid, 'SIGKILL')`;
  elsewhereKilled(path, `open().exec("PRAGMA journal_mode = wal; CREATE TABLE t (a)"); ${kill}`);
  copyFileSync(path, `${path}.other`);
  // The log was recovered: its index says that a checkpoint of all of it may have begun.
  const opened = await reading(path);
  const now = systemClock.monotonicMs;
  let passedMs = 0;
  vi.spyOn(systemClock, 'monotonicMs').mockImplementation(() => now() + passedMs);
  vi.spyOn(systemClock, 'sleep').mockImplementation(async () => {
    passedMs += 10_000;
  });
  elsewhere(path, copyOver);
  await expectChanged(opened, path, wrote);
  expect(passedMs).toBe(60_000);
});

test('a copy right after a checkpoint is noticed by its header', async () => {
  const {path, db} = newDatabase('wal');
  elsewhere(`${path}.other`, `open().exec('PRAGMA user_version = 7')`);
  db.exec('INSERT INTO t VALUES (1)');
  const opened = await reading(path);
  elsewhere(path, `open().exec('PRAGMA wal_checkpoint'); ${copyOver}`);
  await expectChanged(opened, path, wrote);
});

test('a header that a checkpoint wrote meanwhile is right', async () => {
  const {path, db} = newDatabase('wal');
  db.exec('PRAGMA user_version = 1; CREATE TABLE u (a)');
  const opened = await reading(path);
  elsewhere(path, `open().exec('PRAGMA wal_checkpoint')`);
  await opened.confirm();
});

test('nothing is confirmed if another end of the same log was copied over it', async () => {
  const {path, db} = newDatabase('wal');
  db.exec('INSERT INTO t VALUES (1)');
  const fork = `${path}.fork`;
  elsewhere(path, `for (const end of ['', '-wal']) copyFileSync(path + end, path + '.fork' + end)`);
  elsewhereKilled(fork, `open().exec('INSERT INTO t VALUES (8)'); process.kill(process.pid, 'SIGKILL')`);
  db.exec('INSERT INTO t VALUES (2)');
  const opened = await reading(path);
  copyFileSync(`${fork}-wal`, `${path}-wal`);
  await expectChanged(opened, path, 'wrote into its write-ahead log');
});

function elsewhereKilled(path: string, code: string): void {
  expect(() => elsewhere(path, code)).toThrow('Command failed');
}
