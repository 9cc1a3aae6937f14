import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmdirSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {makeHome, newOperation, type TestHome} from '../home.ts';
import {race} from '../race.ts';

let home: TestHome;

beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const unavailable = (next: RegExp) =>
  expect.objectContaining({
    code: 'JOURNAL_UNAVAILABLE',
    message: expect.stringContaining(home.file),
    next: expect.stringMatching(next),
  });

test('the journal belongs to its user alone', async () => {
  await home.open().create(newOperation());
  expect(statSync(dirname(home.file)).mode & 0o777).toBe(0o700);
  for (const file of [home.file, `${home.file}-wal`, `${home.file}-shm`])
    expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a journal of a newer bkp is refused, and stays as it is', () => {
  home.open().close();
  const database = new DatabaseSync(home.file);
  database.exec('PRAGMA user_version = 99');
  database.close();
  const before = readFileSync(home.file);
  expect(() => home.open()).toThrow(
    expect.objectContaining({code: 'NEWER_VERSION', cause: expect.stringContaining('99'), next: expect.anything()}),
  );
  expect(readFileSync(home.file)).toEqual(before);
});

test('a journal of the first version gets what came later, and keeps what it has', async () => {
  const journal = home.open();
  const {number} = await journal.create(newOperation({work: {kept: true}}));
  journal.close();
  // Back to what the first released version wrote: one step, no column for bounds.
  const database = new DatabaseSync(home.file);
  database.exec(`ALTER TABLE operation DROP COLUMN limits; ALTER TABLE operation DROP COLUMN worker_machine;
    ALTER TABLE operation DROP COLUMN created_on; PRAGMA user_version = 1`);
  database.close();

  const opened = home.open();
  expect(await opened.get(number)).toMatchObject({work: {kept: true}, state: {name: 'queued'}});
  expect(await opened.get(number)).not.toHaveProperty('limits');
  expect((await opened.throttle(number, {change: {uploadBytesPerSecond: 1}, before: {}})).limits).toEqual({
    uploadBytesPerSecond: 1,
  });
  const after = new DatabaseSync(home.file, {readOnly: true});
  expect(after.prepare('PRAGMA user_version').get()).toEqual({user_version: 3});
  after.close();
});

test('a file that is no database is named, with a way out', () => {
  mkdirSync(dirname(home.file));
  writeFileSync(home.file, 'hello, this is a text of a few words, and not a database at all. '.repeat(20));
  expect(() => home.open()).toThrow(unavailable(/mv .*journal\.sqlite\.damaged/));
});

test('a database of something else is not touched', () => {
  mkdirSync(dirname(home.file));
  const database = new DatabaseSync(home.file);
  database.exec('CREATE TABLE precious (id INTEGER)');
  database.close();
  const before = readFileSync(home.file);
  expect(() => home.open()).toThrow(unavailable(/mv /));
  expect(readFileSync(home.file)).toEqual(before);
});

test('a damaged journal is named, with a way out', async () => {
  const journal = home.open();
  for (let at = 0; at < 20; at++) await journal.create(newOperation({shared: true, work: 'x'.repeat(5_000)}));
  journal.close();
  truncateSync(home.file, 3 * 4096);
  const list = async () => home.open().list({page: 1, pageSize: 100});
  await expect(list()).rejects.toThrow(unavailable(/mv .*\.damaged/));
});

test.each([
  ['a folder stands in its place', () => mkdirSync(home.file, {recursive: true}), /^move it away \(mv '/],
  ['its folder is a file', () => writeFileSync(dirname(home.file), ''), /--home/],
])('when %s, the next step helps', (_, spoil, next) => {
  spoil();
  expect(() => home.open()).toThrow(unavailable(next));
});

test('processes that open a journal for the first time at the same moment all get it', async () => {
  const results = await race(home, {processes: 6, rounds: 1, action: 'create-shared'});
  expect(results.flat().sort()).toEqual([1, 2, 3, 4, 5, 6]);
});

const disk = join(tmpdir(), `bkp-small-disk-${process.pid}`);
const mountDisk = () => {
  mkdirSync(disk, {recursive: true});
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status === 0;
};
const unmountDisk = () => {
  spawnSync('umount', [disk]);
  rmdirSync(disk);
};
const canMount = mountDisk();
unmountDisk();

describe.skipIf(!canMount)('on a small disk (needs the right to mount one)', () => {
  beforeEach(() => {
    expect(mountDisk()).toBe(true);
  });
  afterEach(() => {
    home.remove();
    unmountDisk();
  });

  test('a full disk is reported as such, and earlier rows can be read', async () => {
    home.file = join(disk, 'journal.sqlite');
    const journal = home.open();
    await journal.create(newOperation());
    const fill = async () => {
      for (;;) await journal.create(newOperation({shared: true, work: 'x'.repeat(10_000)}));
    };
    await expect(fill()).rejects.toThrow(unavailable(/free some space/));
    expect((await journal.open()).length).toBeGreaterThan(1);
  });

  test('a read-only disk is reported as such', () => {
    home.file = join(disk, 'journal.sqlite');
    home.open().close();
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    expect(() => home.open()).toThrow(unavailable(/writable.*--home/));
  });
});
