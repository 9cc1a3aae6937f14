import {closeSync, copyFileSync, openSync, readFileSync, truncateSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {describe, expect, test} from 'vitest';
import {BkpError} from '../../../../src/errors/index.ts';
import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {seed} from '../../../seeds/seed.ts';
import {Random} from '../../../simulator/random.ts';
import {folder} from '../database.ts';
import {localRecords} from './local-records.ts';
import {bytesOf, execute} from './records-of.ts';

const pageBytes = 512;

/** A table and an index of several levels, in which rows were deleted. */
function newDatabase(): string {
  const path = join(folder(), 'app.db');
  execute(
    path,
    `PRAGMA page_size = ${pageBytes}; CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE INDEX t_a ON t (a);
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
       INSERT INTO t SELECT i * 5, 'value ' || i || hex(zeroblob(i % 40)) FROM n;
     DELETE FROM t WHERE id % 3 = 0`,
  );
  return path;
}

type InnerPage = {page: number; bytes: Buffer; parent: number};

/** The inner pages of a tree, the root first. */
function innerPages(path: string, name: string): InnerPage[] {
  const db = new DatabaseSync(path);
  const root = Number(db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name)!.rootpage);
  db.close();
  const file = readFileSync(path);
  const pages: InnerPage[] = [];
  const walk = (page: number, parent: number) => {
    const bytes = file.subarray((page - 1) * pageBytes, page * pageBytes);
    if (bytes[0]! > 5) return;
    pages.push({page, bytes, parent});
    for (let cell = 0; cell < bytes.readUInt16BE(3); cell++)
      walk(bytes.readUInt32BE(bytes.readUInt16BE(12 + 2 * cell)), page);
    walk(bytes.readUInt32BE(8), page);
  };
  walk(root, 1);
  return pages;
}

function change(path: string, page: number, to: (bytes: Buffer) => void): string {
  const changed = join(folder(), 'changed.db');
  copyFileSync(path, changed);
  const bytes = Buffer.from(readFileSync(path).subarray((page - 1) * pageBytes, page * pageBytes));
  to(bytes);
  const file = openSync(changed, 'r+');
  writeSync(file, bytes, 0, pageBytes, (page - 1) * pageBytes);
  closeSync(file);
  return changed;
}

const damageOf = (path: string) =>
  localRecords(path, 't').then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a damaged inner page is named with its tree', () => {
  const cellAt = (bytes: Buffer, cell: number) => bytes.readUInt16BE(12 + 2 * cell);

  test.each<[string, 't' | 't_a', (bytes: Buffer, page: InnerPage) => void, string]>([
    ['type', 't', (bytes) => bytes.fill(2, 0, 1), 'is not an inner page of a table'],
    ['type', 't_a', (bytes) => bytes.fill(5, 0, 1), 'is not an inner page of an index or of a table without rowid'],
    ['content', 't', (bytes) => bytes.writeUInt16BE(600, 5), 'has a header that contradicts its size'],
    ['number of cells', 't_a', (bytes) => bytes.writeUInt16BE(400, 3), 'has a header that contradicts its size'],
    ['fewer cells', 't', (bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(3) - 1, 3), 'do not add up to its size'],
    ['no cells', 't_a', (bytes) => bytes.writeUInt16BE(0, 3), 'do not add up to its size'],
    ['fragments', 't', (bytes) => bytes.writeUInt8(bytes[7]! + 1, 7), 'do not add up to its size'],
    ['free blocks', 't', (bytes) => bytes.writeUInt16BE(510, 1), 'has a damaged list of free blocks'],
    ['pointer', 't', (bytes) => bytes.writeUInt16BE(3, 12), 'has a pointer to a cell outside its content'],
    ['payload', 't_a', (bytes) => bytes.writeUInt8(200, cellAt(bytes, 0) + 4), 'is damaged: page'],
    ['child 0', 't', (bytes) => bytes.writeUInt32BE(0, cellAt(bytes, 1)), 'refers to page 0, which does not exist'],
    ['child far away', 't', (bytes) => bytes.writeUInt32BE(9999, 8), 'refers to page 9999, which does not exist'],
    [
      'child twice',
      't',
      (bytes) => bytes.writeUInt32BE(bytes.readUInt32BE(cellAt(bytes, 0)), 8),
      'is referred to twice',
    ],
    ['child is the parent', 't_a', (bytes, {parent}) => bytes.writeUInt32BE(parent, 8), 'is referred to twice'],
    ['rowids', 't', (bytes) => bytes.fill(0, cellAt(bytes, 1) + 4, cellAt(bytes, 1) + 5), 'is damaged: page'],
  ])('%s', async (_, name, to, message) => {
    const path = newDatabase();
    const inner = innerPages(path, name).at(-1)!;
    const error = (await damageOf(change(path, inner.page, (bytes) => to(bytes, inner)))) as BkpError;
    expect(error).toMatchObject({
      code: 'SOURCE_DAMAGED',
      message: expect.stringContaining(message),
      next: expect.stringContaining('PRAGMA integrity_check'),
    });
    expect(error.message).toMatch(
      name === 't' ? /^table t is damaged: page \d+ / : /^index t_a of table t is damaged: page/,
    );
  });

  test('a child of another level', async () => {
    const path = newDatabase();
    const [root] = innerPages(path, 't');
    const grandchild = innerPages(path, 't').at(-1)!.bytes.readUInt32BE(8);
    const error = await damageOf(change(path, root!.page, (bytes) => bytes.writeUInt32BE(grandchild, 8)));
    expect(error).toMatchObject({code: 'SOURCE_DAMAGED', message: expect.stringContaining('is not an inner page')});
  });
});

test('rowids of a page that belong to another one, or do not ascend, are damage', async () => {
  const path = newDatabase();
  const pages = innerPages(path, 't');
  const large = Buffer.from([0x81, 0x80]);
  for (const {page, bytes} of pages.slice(1)) {
    const cell = bytes.readUInt16BE(12);
    if (bytes[cell + 4]! < 0x80) continue;
    const error = await damageOf(change(path, page, (to) => large.copy(to, cell + 4)));
    expect(error).toBeInstanceOf(BkpError);
  }
});

// BKP_TEST_SEED chooses the bytes, BKP_TEST_RUNS multiplies them.
test('a flipped byte of an inner page is found, or changes no record', async () => {
  const path = newDatabase();
  const random = new Random(seed);
  const whole = await localRecords(path, 't');
  const pages = ['t', 't_a'].flatMap((name) => innerPages(path, name));
  let found = 0;
  const rounds = 40 * Number(process.env.BKP_TEST_RUNS ?? 1);
  for (let round = 0; round < rounds; round++) {
    const {page} = random.pick(pages);
    const [at, bits] = [random.below(random.pick([32, pageBytes])), 1 + random.below(255)];
    const changed = change(path, page, (bytes) => bytes.writeUInt8(bytes[at]! ^ bits, at));
    const what = `BKP_TEST_SEED=${seed}: page ${page}, byte ${at}, bits ${bits}`;
    let taken: typeof whole;
    try {
      taken = await localRecords(changed, 't');
    } catch (error) {
      expect(error, what).toMatchObject({code: 'SOURCE_DAMAGED'});
      found++;
      continue;
    }
    // A separator of an index holds a record: its bytes may change as those in a leaf may.
    expect(bytesOf(taken.get('t')).equals(bytesOf(whole.get('t'))), what).toBe(true);
    expect(bytesOf(taken.get('t_a')).length, what).toBe(bytesOf(whole.get('t_a')).length);
  }
  expect(found, `BKP_TEST_SEED=${seed}`).toBeGreaterThan(rounds / 8);
});

test('an index with another number of records than its table is damage', async () => {
  const path = newDatabase();
  const db = new DatabaseSync(path);
  db.exec(`CREATE TABLE other (id INTEGER PRIMARY KEY, a); INSERT INTO other SELECT id, a FROM t WHERE id < 5000;
    CREATE INDEX other_a ON other (a)`);
  db.enableDefensive(false);
  db.exec(`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage =
    (SELECT rootpage FROM sqlite_schema WHERE name = 'other_a') WHERE name = 't_a'`);
  db.close();
  expect(await damageOf(path)).toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: expect.stringMatching(/^index t_a of table t has \d+ records, and there are 2000 rows$/),
  });
});

test('a file that was cut off while it was read is damage', async () => {
  const path = newDatabase();
  const source = new SqliteSource(path);
  const snapshot = await source.snapshot({tables: ['t']});
  truncateSync(path, 20 * pageBytes);
  const base = await snapshot.base('t');
  const read = async () => {
    if (base.form !== 'records') return;
    for (const {records} of base.trees) for await (const {release} of records) release?.();
  };
  await expect(read()).rejects.toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: expect.stringContaining('is too short'),
  });
  await snapshot.close();
});

test('a log that was cut off while it was read is damage', async () => {
  const path = newDatabase();
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE t SET a = a || '!'`);
  const source = new SqliteSource(path);
  const open = await source.snapshot({tables: ['t']});
  const read = async () => {
    const base = await open.base('t');
    if (base.form !== 'records') return;
    for (const {records} of base.trees) for await (const {release} of records) release?.();
  };
  truncateSync(`${path}-wal`, 4000);
  await expect(read()).rejects.toMatchObject({
    code: 'SOURCE_DAMAGED',
    message: expect.stringContaining('write-ahead log'),
  });
  await open.close();
  db.close();
});
