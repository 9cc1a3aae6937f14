import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {requireTable} from '../../../src/sources/sqlite/catalog/catalog.ts';
import {checkRestored, requireSound} from '../../../src/sources/sqlite/restore/check-restored.ts';
import {RestoredContent} from '../../../src/sources/sqlite/restore/restored-content.ts';
import {StagingFile} from '../../../src/sources/sqlite/restore/staging-file.ts';
import {folder} from './database.ts';

const pageBytes = 4096;

const schema = `CREATE TABLE a (k INTEGER PRIMARY KEY, x); CREATE INDEX ax ON a (x);
  CREATE TABLE "b ""2""" (k TEXT PRIMARY KEY, x) WITHOUT ROWID;
  CREATE TABLE "7" (x);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO a SELECT i, 'x' || i FROM n;
  INSERT INTO "b ""2""" SELECT x, k FROM a; INSERT INTO "7" VALUES (1), (2)`;

const names = ['a', 'b "2"', '7'];

/** @param damage changes the finished file */
function staged(sql: string, damage: (file: Buffer, db: DatabaseSync) => void = () => {}): StagingFile {
  const path = join(folder(), 'staged.db');
  const file = new StagingFile(path, {page_size: String(pageBytes)});
  onTestFinished(() => file.remove());
  file.connection.exec(sql);
  file.beginIndexes();
  file.close();
  const bytes = readFileSync(path);
  const db = new DatabaseSync(path, {readOnly: true});
  damage(bytes, db);
  db.close();
  writeFileSync(path, bytes);
  return file;
}

async function checked(file: StagingFile, {check = 'quick', threads}: {check?: 'quick' | 'full'; threads: boolean}) {
  const notices: string[] = [];
  const found = await checkRestored(file, {
    check,
    sizes: new Map(names.map((name) => [name, 1])),
    threadsFromBytes: threads ? 0 : Number.POSITIVE_INFINITY,
  });
  requireSound(found, (text) => notices.push(text));
  const {rows} = found;
  return {notices, rows: Object.fromEntries(names.map((name) => [name, rows.get(name)]))};
}

const ways = [
  ['of the whole file', {threads: false}],
  ['of the tables on threads', {threads: true}],
] as const;

/** Changes one byte of the tree's first leaf page: its kind. */
const breakLeafOf = (name: string) => (file: Buffer, db: DatabaseSync) => {
  const leaf = db.prepare(`SELECT min(pageno) AS page FROM dbstat WHERE name = ? AND pagetype = 'leaf'`).get(name)!;
  file[(Number(leaf.page) - 1) * pageBytes] = 0;
};

for (const [what, how] of ways) {
  test(`the check ${what} counts rows, and reports rows that the schema would refuse`, async () => {
    const edit = `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE "7" (x NOT NULL)'
      WHERE name = '7'; PRAGMA writable_schema = RESET`;
    const found = await checked(staged(`${schema}; INSERT INTO "7" VALUES (NULL); ${edit}`), how);
    expect(found).toEqual({
      notices: [expect.stringContaining('NULL value in 7.x')],
      rows: {a: 3000, 'b "2"': 3000, 7: 3},
    });
  });

  test.each(['a', 'ax', 'b "2"'])(`the check ${what} finds a damaged page of %s`, async (name) => {
    const file = staged(schema, breakLeafOf(name));
    await expect(checked(file, how)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
  });

  test(`the check ${what} finds an index that lacks an entry`, async () => {
    const file = staged(schema, (bytes, db) => {
      const [page] = db.prepare(`SELECT pageno FROM dbstat WHERE name = 'ax' AND pagetype = 'leaf'`).all();
      const at = (Number(page!.pageno) - 1) * pageBytes;
      bytes.writeUInt16BE(bytes.readUInt16BE(at + 3) - 1, at + 3);
    });
    await expect(checked(file, how)).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
  });
}

test('the file can be written to after a check on threads', async () => {
  const file = staged(schema);
  await checked(file, {threads: true});
  file.connection.exec('DELETE FROM a');
  expect(file.connection.number('SELECT count(*) FROM a')).toBe(0);
});

test('a cancelled check ends with the reason', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  const options = {check: 'quick', sizes: new Map(), signal} as const;
  for (const threadsFromBytes of [0, Number.POSITIVE_INFINITY])
    await expect(
      checkRestored(staged(schema), {...options, sizes: new Map([['a', 1]]), threadsFromBytes}),
    ).rejects.toThrow('enough');
});

/** The content of the tables `a` and `b "2"`, of which the second one is read on threads. */
function contentOf(file: StagingFile, signal?: AbortSignal): RestoredContent {
  const sizes = {a: 1, 'b "2"': 2 ** 30};
  const tables = Object.entries(sizes).map(([name, bytes]) => ({
    name,
    table: requireTable(file.connection, name),
    bytes,
  }));
  return new RestoredContent(file, tables, signal);
}

const quickly = {check: 'quick', sizes: new Map([['a', 1]])} as const;

test('the content that is read beside a check on threads is that of a file that is left alone', async () => {
  const alone = contentOf(staged(schema));
  const file = staged(schema);
  const beside = contentOf(file);
  const {faults} = await checkRestored(file, {...quickly, threadsFromBytes: 0, beside: () => beside.begin()});
  expect(beside.hasBegun).toBe(true);
  const found = await beside.result();
  expect(found).toEqual(await alone.result());
  expect([...found].map(([name, {rows}]) => [name, rows])).toEqual([
    ['a', 3000],
    ['b "2"', 3000],
  ]);
  expect(faults).toEqual([]);
  file.connection.exec('DELETE FROM a');
});

test('nothing is read beside a check that has the file open', async () => {
  const file = staged(schema);
  const beside = () => {
    throw new Error('the file is open');
  };
  await checkRestored(file, {...quickly, threadsFromBytes: Number.POSITIVE_INFINITY, beside});
});

test('reading that is stopped, cancelled or meets damage ends, and only its result fails', async () => {
  const stopped = contentOf(staged(schema));
  await stopped.stop();
  expect(stopped.hasBegun).toBe(false);
  stopped.begin();
  await stopped.stop();
  const damaged = contentOf(staged(schema, breakLeafOf('b "2"')));
  damaged.begin();
  await damaged.ended();
  await expect(damaged.result()).rejects.toMatchObject({code: 'SOURCE_DAMAGED'});
  const cancelled = contentOf(staged(schema), AbortSignal.abort(new Error('enough')));
  cancelled.begin();
  await cancelled.stop();
  await expect(cancelled.result()).rejects.toThrow('enough');
});
