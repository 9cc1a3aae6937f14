import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {describe, expect, onTestFinished, test} from 'vitest';
import type {DatabaseMoment, FileCheck, FrozenFile} from '../../../src/sources/index.ts';
import {sqliteFilePath} from '../../../src/sources/sqlite/file/files.ts';
import {SqliteFileTarget} from '../../../src/sources/sqlite/file/target.ts';
import {filesIn, folder} from './database.ts';

const facts: DatabaseMoment = {product: 'sqlite', version: '3', tables: [{name: 't'}]};

function image(mode = 'WAL'): Buffer {
  const path = join(folder(), 'image.db');
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(100000)), (42)`);
  db.close();
  return readFileSync(path);
}

const fileOf = (bytes: Uint8Array, path = sqliteFilePath): FrozenFile => ({
  path,
  sizeBytes: bytes.length,
  zeroTailBytes: 0,
  blockBytes: 65_536,
});

async function* inBlocks(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

async function restore(path: string, bytes: Buffer): Promise<FileCheck> {
  const target = new SqliteFileTarget(path);
  await target.prepare(facts);
  await target.write(fileOf(bytes), inBlocks(bytes));
  return target.publish(quiet());
}

const quiet = () => ({signal: new AbortController().signal});

/** Another process that has the database open, in a transaction or idle. */
async function holder(path: string, sql: string): Promise<ChildProcess> {
  const code = `const {DatabaseSync} = require('node:sqlite'); const db = new DatabaseSync(process.argv[1]);
    db.exec(process.argv[2]); console.log('ready'); setInterval(() => db.isOpen, 1000)`;
  const child = spawn(process.execPath, ['-e', code, path, sql], {stdio: ['ignore', 'pipe', 'inherit']});
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout!, 'data');
  return child;
}

test.each([
  ['nowhere.db', 'a link that leads nowhere'],
  ['app.db', 'a link that leads to itself'],
])('a target that is a link to %s (%s) is refused before anything is loaded', async (to) => {
  const path = join(folder(), 'app.db');
  symlinkSync(to, path);
  const refused = {code: 'PRECONDITION', message: `${path} is a link to ${to}, where nothing is`};
  expect(await new SqliteFileTarget(path).survey(facts)).toMatchObject({inTheWay: refused.message});
  await expect(new SqliteFileTarget(path).prepare(facts)).rejects.toMatchObject({
    ...refused,
    next: expect.stringContaining(`rm '${path}'`),
  });
});

describe('a restored database', () => {
  test.each(['WAL', 'DELETE'])('in %s mode is the image byte by byte, and no other file is left', async (mode) => {
    const [bytes, place] = [image(mode), folder()];
    await restore(join(place, 'app.db'), bytes);
    expect(filesIn(place)).toEqual(['app.db']);
    expect(readFileSync(join(place, 'app.db')).equals(bytes)).toBe(true);
    const db = new DatabaseSync(join(place, 'app.db'));
    onTestFinished(() => db.close());
    expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({n: 2});
  });

  test.each([
    ['an empty file', ''],
    ['an empty database', 'PRAGMA journal_mode = DELETE; CREATE TABLE gone (a); DROP TABLE gone'],
    ['an empty database in WAL mode', 'PRAGMA journal_mode = WAL'],
  ])('takes the place of %s', async (_, sql) => {
    const [bytes, place] = [image(), folder()];
    const path = join(place, 'app.db');
    writeFileSync(path, '');
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    await restore(path, bytes);
    expect(filesIn(place)).toEqual(['app.db']);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('does not get an empty log applied', async () => {
    const [bytes, place] = [image(), folder()];
    writeFileSync(join(place, 'app.db-wal'), '');
    writeFileSync(join(place, 'app.db-shm'), Buffer.alloc(32_768, 7));
    await restore(join(place, 'app.db'), bytes);
    expect(filesIn(place)).toEqual(['app.db']);
  });
});

describe('a restore is refused, and nothing is touched', () => {
  test('when the target is a database', async () => {
    const path = join(folder(), 'app.db');
    const there = image();
    writeFileSync(path, there);
    const target = new SqliteFileTarget(path);
    await expect(target.prepare(facts)).rejects.toMatchObject({
      code: 'TABLE_EXISTS',
      message: 'The local database is not empty.',
    });
    expect(await target.survey(facts)).toMatchObject({
      inTheWay: 'The local database is not empty.',
      nextStep: expect.stringContaining('another path'),
      freeBytes: expect.any(Number),
    });
    expect(readFileSync(path).equals(there)).toBe(true);
  });

  test('when a database appears or gets content before the end', async () => {
    for (const before of [undefined, '']) {
      const path = join(folder(), 'app.db');
      if (before !== undefined) writeFileSync(path, before);
      const [bytes, target] = [image(), new SqliteFileTarget(path)];
      await target.prepare(facts);
      await target.write(fileOf(bytes), inBlocks(bytes));
      const other = image('DELETE');
      writeFileSync(path, other);
      await expect(target.publish(quiet())).rejects.toMatchObject({code: 'TABLE_EXISTS'});
      expect(readFileSync(path).equals(other)).toBe(true);
    }
  });

  test.each([
    ['WAL', ''],
    ['WAL', 'BEGIN IMMEDIATE'],
    ['DELETE', ''],
    ['DELETE', 'BEGIN IMMEDIATE'],
  ])('where another program has an empty database open (%s, %s)', async (mode, sql) => {
    const path = join(folder(), 'app.db');
    await holder(path, `PRAGMA journal_mode = ${mode}; CREATE TABLE t (a); DROP TABLE t; ${sql}`);
    const before = readFileSync(path);
    await expect(restore(path, image())).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('when the files of a removed database are still in use', async () => {
    const place = folder();
    const path = join(place, 'app.db');
    await holder(path, 'PRAGMA journal_mode = WAL; CREATE TABLE t (a)');
    rmSync(path);
    writeFileSync(`${path}-wal`, '');
    await expect(restore(path, image())).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
    expect(existsSync(path)).toBe(false);
  });

  test('next to a log that is not empty', async () => {
    const path = join(folder(), 'app.db');
    writeFileSync(`${path}-wal`, 'frames of another database');
    await expect(restore(path, image())).rejects.toMatchObject({code: 'PRECONDITION'});
  });

  test('for a backup of another product, into a missing folder, and for an unexpected file name', async () => {
    const path = join(folder(), 'app.db');
    const target = new SqliteFileTarget(path);
    await expect(target.prepare({...facts, product: 'questdb'})).rejects.toMatchObject({code: 'UNSUPPORTED'});
    await expect(new SqliteFileTarget(join(path, 'deeper.db')).prepare(facts)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
    const bytes = image();
    await expect(target.write(fileOf(bytes, 'db/x'), inBlocks(bytes))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  });
});

test.each([
  ['a page', (bytes: Buffer) => bytes.fill(0xa5, 8192, 12_288)],
  ['the schema', (bytes: Buffer) => bytes.fill(0xa5, 100, 4096)],
])('a database that was damaged in %s comes back as it was, and the damage is reported', async (_, damage) => {
  const place = folder();
  const bytes = image();
  damage(bytes);
  const found = await restore(join(place, 'app.db'), bytes);
  expect(found.damage.join()).not.toBe('');
  expect(filesIn(place)).toEqual(['app.db']);
  expect(readFileSync(join(place, 'app.db')).equals(bytes)).toBe(true);
});

test('a complete file of an earlier attempt is reused, a partial one is not', async () => {
  const [bytes, path] = [image(), join(folder(), 'app.db')];
  const target = new SqliteFileTarget(path);
  const half = (async function* () {
    yield bytes.subarray(0, 65_536);
    throw new Error('killed');
  })();
  await expect(target.write(fileOf(bytes), half)).rejects.toThrow('killed');
  expect(await target.finished(fileOf(bytes))).toBeUndefined();
  await target.write(fileOf(bytes), inBlocks(bytes));
  const parts: Uint8Array[] = [];
  for await (const part of (await new SqliteFileTarget(path).finished(fileOf(bytes)))!) parts.push(part);
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  await target.publish(quiet());
  expect(readFileSync(path).equals(bytes)).toBe(true);
});

test('a failed restore leaves nothing, and the next one into the same place works', async () => {
  const place = folder();
  const bytes = image();
  const target = new SqliteFileTarget(join(place, 'app.db'));
  await target.prepare(facts);
  await target.write(fileOf(bytes), inBlocks(bytes));
  await target.fail();
  expect(filesIn(place)).toEqual([]);
  await restore(join(place, 'app.db'), bytes);
});
