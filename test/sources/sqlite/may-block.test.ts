import {truncateSync, writeFileSync} from 'node:fs';
import {expect, test} from 'vitest';
import type {Changes} from '../../../src/sources/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {Database, full, increment, owner} from './database.ts';

const large = 9 * 1024 * 1024;
const manyRows = (from: number, to: number) =>
  `WITH RECURSIVE n (i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to}) SELECT i, i FROM n`;

test('a full backup of a large database may block, and an increment of it with few changes does not', async () => {
  const database = new Database(
    `CREATE TABLE t (k INTEGER PRIMARY KEY, v); CREATE TABLE u (v); INSERT INTO u VALUES (zeroblob(${large}))`,
  );
  await full(database, ['t']);
  database.exec('INSERT INTO t VALUES (2, 2)');
  expect(await database.source.mayBlock('full')).toBe(true);
  expect(await database.source.mayBlock('incremental')).toBe(false);
});

test('a full backup of a small database does not block', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
  expect(await database.source.mayBlock('full')).toBe(false);
});

test('an increment of many changes may block, also of those that only another collection needed', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
  const base = await full(database, ['t']);
  database.exec(`INSERT INTO t ${manyRows(1, 1100)}`);
  expect(await database.source.mayBlock('incremental')).toBe(true);
  await database.source.acknowledge(owner, (await increment(database, base)).mark!);
  expect(await database.source.mayBlock('incremental')).toBe(false);
});

test('an increment with a long schema may block', async () => {
  const database = new Database(
    `CREATE TABLE t (k INTEGER PRIMARY KEY, v); CREATE VIEW w AS SELECT '${'x'.repeat(1024 * 1024)}' FROM t`,
  );
  expect(await database.source.mayBlock('incremental')).toBe(true);
});

test('an increment may block when opening the database has much to recover', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
  database.close();
  for (const ending of ['-wal', '-journal']) {
    const path = `${database.path}${ending}`;
    writeFileSync(path, '');
    truncateSync(path, 64 * 1024 * 1024);
    expect(await database.source.mayBlock('incremental')).toBe(true);
    truncateSync(path, 0);
  }
});

test('no database blocks no one', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
  expect(await new SqliteSource(`${database.path}-absent`).mayBlock('incremental')).toBe(false);
});

/** How often the snapshot of an increment told that it may block, when the rows of `t` were read. */
async function told(database: Database, base: Awaited<ReturnType<typeof full>>, earlier?: Uint8Array[]) {
  let calls = 0;
  const snapshot = await database.source.snapshot({
    tables: ['t'],
    track: {owner},
    since: {owner, mark: base.mark!, fingerprints: {t: base.schemas[0]!.fingerprint}},
    blocks: () => calls++,
  });
  const changes = (await snapshot.changes('t', base.mark!)) as Changes;
  const {keys} = changes.read(
    earlier &&
      (async function* () {
        yield* earlier;
      })(),
  );
  const bytes: Uint8Array[] = [];
  for await (const segment of keys) bytes.push(segment.bytes);
  await snapshot.close();
  return {calls, bytes};
}

test('the snapshot tells before many keys are looked up, of the log and of earlier increments', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t ${manyRows(1, 5)}`);
  const base = await full(database, ['t']);
  database.exec('UPDATE t SET v = 0');
  expect((await told(database, base)).calls).toBe(0);
  database.exec(`INSERT INTO t ${manyRows(10, 1100)}`);
  const many = await told(database, base);
  expect(many.calls).toBe(1);
  const next = await increment(database, base);
  database.exec('UPDATE t SET v = 1 WHERE k = 1');
  expect((await told(database, next)).calls).toBe(0);
  expect((await told(database, next, many.bytes)).calls).toBe(1);
});

test('the snapshot of an increment tells before it takes all rows of a table in a large database', async () => {
  const database = new Database(
    `CREATE TABLE t (k INTEGER PRIMARY KEY, v); CREATE TABLE u (k INTEGER PRIMARY KEY, v);
     INSERT INTO u VALUES (1, zeroblob(${large}))`,
  );
  const base = await full(database, ['t']);
  let calls = 0;
  const blocks = () => void calls++;
  const snapshot = await database.source.snapshot({
    tables: ['t', 'u'],
    track: {owner},
    since: {owner, mark: base.mark!, fingerprints: {t: base.schemas[0]!.fingerprint}},
    blocks,
  });
  expect(calls).toBe(0);
  await snapshot.base('u');
  expect(calls).toBe(1);
  await snapshot.close();
});
