import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, expect, test} from 'vitest';
import {PageLayout} from '../../../../src/sources/sqlite/layout/page-layout.ts';
import {mayMount, smallDisk} from '../../../helpers/small-disk.ts';
import {expectSame} from '../../../helpers/sqlite-compare.ts';
import {chunksOf, createDatabase, layOut, statementsOf, streamOf} from './target.ts';
import {readTrees, roots} from './trees.ts';

const folder = mkdtempSync(join(tmpdir(), 'bkp-page-layout-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));

const source = join(folder, 'source.db');
const target = join(folder, 'target.db');

/** Fills the source by `sql`, and creates its tables and indexes in the target. */
function prepare(sql: string, {pageSize = 4096, path = target, autoVacuum = 0} = {}) {
  using from = createDatabase(source, {pageSize});
  from.exec(sql);
  using to = createDatabase(path, {pageSize, autoVacuum});
  for (const statement of statementsOf(from)) to.exec(statement);
}

const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)';
const table = `CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t (a);
  ${numbers} INSERT INTO t SELECT i, 'name ' || i FROM n`;

/** Records of t, more and more of them. */
async function* endless(): AsyncGenerator<Uint8Array> {
  for (let id = 0; ; id++) {
    await new Promise(setImmediate);
    // A rowid of four bytes, a NULL and an empty text.
    const head = Buffer.of(3, 0x81, 0x80 | (id >> 14), 0x80 | ((id >> 7) & 0x7f), id & 0x7f, 3, 0, 13);
    yield head;
  }
}

const openFiles = () =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return [];
    }
  });

test('pages that SQLite wrote stay as they are, except the roots and the counts in the header', async () => {
  prepare(table, {autoVacuum: 1});
  const before = readFileSync(target);
  const trees = readTrees(source);
  const {pages} = await layOut(target, trees);
  const after = readFileSync(target);
  expect(after.length).toBe(pages * 4096);
  expect(after.readUInt32BE(28)).toBe(pages);
  expect(after.readUInt32BE(24)).toBe(before.readUInt32BE(24) + 1);
  expect(after.readUInt32BE(92)).toBe(after.readUInt32BE(24));
  after.copy(before, 24, 24, 32);
  after.copy(before, 92, 92, 96);
  // The pointer map gets entries of new pages.
  after.copy(before, 4096 + 5 * (before.length / 4096 - 2), 4096 + 5 * (before.length / 4096 - 2), 2 * 4096);
  for (const {root} of roots(target)) after.copy(before, (root - 1) * 4096, (root - 1) * 4096, root * 4096);
  expect(after.subarray(0, before.length).equals(before)).toBe(true);
});

test('a tree of one leaf is its root, and its overflow pages are elsewhere', async () => {
  prepare(`CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(10000)), (2), (zeroblob(30000))`);
  const {pages} = await layOut(target, readTrees(source));
  expect(pages).toBe(2 + 2 + 7);
  expect(readFileSync(target)[4096]).toBe(13);
  expectSame(target, source);
});

test('leaves are filled as by VACUUM', async () => {
  prepare(table);
  const {pages} = await layOut(target, readTrees(source));
  using database = new DatabaseSync(source);
  database.exec('VACUUM');
  const packed = Number(database.prepare('PRAGMA page_count').get()!.page_count);
  expect(pages).toBeLessThanOrEqual(packed);
});

test('trees of chunks with a single record each are laid out', async () => {
  prepare(`CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE INDEX i ON t (v);
    ${numbers} INSERT INTO t SELECT 'key ' || i, zeroblob(i * 700 % 9000) FROM n WHERE i <= 500`);
  await layOut(target, readTrees(source), {cut: chunksOf(1)});
  expectSame(target, source);
});

test.each([512, 65536])('records of 8 MiB are laid out, each one a chunk, in pages of %i bytes', async (pageSize) => {
  prepare(
    `CREATE TABLE t (k INTEGER PRIMARY KEY, v);
     CREATE TABLE u (k, v, PRIMARY KEY (k, v)) WITHOUT ROWID;
     INSERT INTO t VALUES (1, zeroblob(8388500)), (2, 2), (3, zeroblob(8388500));
     INSERT INTO u VALUES (1, zeroblob(8388500)), (2, zeroblob(8388500)), (3, zeroblob(8388500)), (4, 4)`,
    {pageSize},
  );
  await layOut(target, readTrees(source), {cut: chunksOf(1)});
  using database = new DatabaseSync(target);
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{integrity_check: 'ok'}]);
  database.exec(`ATTACH '${source}' AS source`);
  const differences = ['t', 'u'].map((name) => `SELECT * FROM main.${name} EXCEPT SELECT * FROM source.${name}`);
  for (const sql of differences) expect(database.prepare(`SELECT count(*) AS n FROM (${sql})`).get()).toEqual({n: 0});
  expect(database.prepare('SELECT count(*) AS n FROM u').get()).toEqual({n: 4});
});

test('a fault of one tree is the error of those that follow, and of finish', async () => {
  prepare(`${table}; CREATE TABLE second (a)`);
  const root = Object.fromEntries(roots(target).map((tree) => [tree.name, tree.root]));
  const layout = await PageLayout.open(target, {threads: 1});
  await layout.addTree({name: 't', kind: 'rowid', root: root.t!, records: 9}, streamOf([Buffer.of(9)]));
  await expect(layout.finish()).rejects.toThrow('a record continues beyond the end of its chunk');
  const second = layout.addTree({name: 'second', kind: 'rowid', root: root.second!, records: 0}, streamOf([]));
  await expect(second).rejects.toThrow('a record continues beyond the end of its chunk');
  await layout.close();
});

test('a fault ends a tree whose chunks go on', async () => {
  prepare(table);
  const {root} = roots(target).find(({name}) => name === 't')!;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.of(9);
    yield* endless();
  };
  const layout = await PageLayout.open(target, {threads: 1});
  const adding = layout.addTree({name: 't', kind: 'rowid', root, records: 9}, chunks());
  await expect(adding).rejects.toThrow('a record continues beyond the end of its chunk');
  await layout.close();
});

test('an error of the chunks is passed on', async () => {
  prepare(table);
  const {root} = roots(target).find(({name}) => name === 't')!;
  const layout = await PageLayout.open(target, {threads: 1});
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.of(3, 1, 3, 0, 13);
    throw new Error('the store is gone');
  };
  await expect(layout.addTree({name: 't', kind: 'rowid', root, records: 9}, chunks())).rejects.toThrow(
    'the store is gone',
  );
  await expect(layout.finish()).rejects.toThrow('the store is gone');
  await layout.close();
});

test('close ends what is going on at any moment, and leaves no file open', async () => {
  prepare(table);
  const {root} = roots(target).find(({name}) => name === 't')!;
  const empty = readFileSync(target);
  for (const delayMs of [0, 5, 300]) {
    copyFileSync(target, `${target}-copy`);
    const layout = await PageLayout.open(`${target}-copy`, {threads: 2});
    const adding = layout.addTree({name: 't', kind: 'rowid', root, records: 9}, endless()).catch(String);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await layout.close();
    await layout.close();
    expect(await adding).toMatch(/closed|ended/);
    await expect(layout.finish()).rejects.toThrow(/closed|ended/);
    expect(openFiles()).toEqual([]);
  }
  expect(readFileSync(target).equals(empty)).toBe(true);
});

test.each([0, 1024 * 1024])('what comes after close is not written, with %i bytes for this thread', async (bytes) => {
  prepare(table);
  const {root} = roots(target).find(({name}) => name === 't')!;
  const taken = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.of(3, 1, 3, 0, 13);
    taken.resolve();
    await closed.promise;
  };
  const layout = await PageLayout.open(target, {threads: 1, hereUpToBytes: bytes});
  const adding = layout.addTree({name: 't', kind: 'rowid', root, records: 1}, chunks()).catch(String);
  await taken.promise;
  await layout.close();
  // It gets the number of the descriptor that was closed.
  const other = openSync(join(folder, 'other'), 'w+');
  try {
    closed.resolve();
    const error = await adding;
    expect(fstatSync(other).size).toBe(0);
    expect(error).toMatch(/closed/);
  } finally {
    closeSync(other);
  }
});

test('two trees cannot have the same root, and no tree has one that is not empty', async () => {
  prepare(`${table}; CREATE TABLE second (a)`);
  const root = Object.fromEntries(roots(target).map((tree) => [tree.name, tree.root]));
  const layout = await PageLayout.open(target, {threads: 1});
  const add = (kind: 'rowid' | 'key', page: number) =>
    layout.addTree({name: 't', kind, root: page, records: 0}, streamOf([]));
  await add('rowid', root.t!);
  await expect(add('rowid', root.t!)).rejects.toThrow();
  await expect(add('key', root.second!)).rejects.toThrow();
  await expect(add('rowid', 1)).rejects.toThrow();
  await expect(add('rowid', 1000)).rejects.toThrow();
  await layout.close();
});

test.runIf(mayMount)('a full disk is an error of the system, with its code', async () => {
  const disk = smallDisk(join(folder, 'disk'), 512 * 1024);
  const path = join(disk.folder, 'target.db');
  prepare(table, {path});
  await expect(layOut(path, readTrees(source))).rejects.toMatchObject({code: 'ENOSPC', syscall: 'write'});
  expect(openFiles()).toEqual([]);
});
