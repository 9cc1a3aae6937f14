import {copyFileSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {NotRecords} from '../../../../src/sources/sqlite/layout/not-records.ts';
import {PageLayout} from '../../../../src/sources/sqlite/layout/page-layout.ts';
import {generator} from './random-database.ts';
import {createDatabase, streamOf} from './target.ts';
import {type ReadTree, readTrees, roots} from './trees.ts';

const folder = mkdtempSync(join(tmpdir(), 'bkp-not-records-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** More cases: BKP_LAYOUT_CASES=1000 npx vitest run test/sources/sqlite/layout/not-records.test.ts */
const rounds = Number(process.env.BKP_LAYOUT_CASES ?? 4);

const source = join(folder, 'source.db');
const empty = join(folder, 'empty.db');
const target = join(folder, 'target.db');
const statements = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b); CREATE INDEX i ON t (a)';

let table: ReadTree;
let index: ReadTree;

beforeAll(() => {
  using from = createDatabase(source, {pageSize: 1024});
  from.exec(statements);
  from.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO t SELECT i * 3, 'name ' || i, zeroblob(i) FROM n`);
  from.close();
  using to = createDatabase(empty, {pageSize: 1024});
  to.exec(statements);
  to.close();
  [index, table] = readTrees(source) as [ReadTree, ReadTree];
});

/** Lays out these chunks as the tree, with nothing else. */
async function layOutChunks(tree: ReadTree, chunks: readonly Buffer[], records = tree.records): Promise<void> {
  copyFileSync(empty, target);
  const {root} = roots(target).find(({name}) => name === tree.name)!;
  const layout = await PageLayout.open(target, {threads: 1, syncEarly: false});
  try {
    await layout.addTree({name: tree.name, kind: tree.kind, records, root}, streamOf(chunks));
    await layout.finish();
  } finally {
    await layout.close();
  }
}

const halves = (content: readonly Buffer[]) => [
  Buffer.concat(content.slice(0, 150)),
  Buffer.concat(content.slice(150)),
];

/** @param change of the two chunks of the tree */
function refused(tree: ReadTree, change: (first: Buffer, second: Buffer) => Buffer[], records = tree.records) {
  const [first, second] = halves(tree.content) as [Buffer, Buffer];
  return expect(layOutChunks(tree, change(first, second), records)).rejects.toThrow(NotRecords);
}

test('the chunks are accepted as they are', async () => {
  await layOutChunks(table, halves(table.content));
  await layOutChunks(index, halves(index.content));
});

test('bytes after the last record of a chunk are refused, and so is a record without its end', async () => {
  await refused(table, (first, second) => [first, second.subarray(0, -1)]);
  await refused(index, (first, second) => [first.subarray(0, -1), second]);
  await refused(table, (first, second) => [first, Buffer.concat([second, Buffer.of(0)])]);
  await refused(index, (first, second) => [first.subarray(1), second]);
});

test('rowids that do not ascend are refused, within a chunk and from one to the next', async () => {
  const {content} = table;
  const swapped = Buffer.concat([...content.slice(0, 9), content[10]!, content[9]!, ...content.slice(11, 150)]);
  await refused(table, (_, second) => [swapped, second]);
  await refused(table, (first, second) => [second, first]);
  const twice = [Buffer.concat(content.slice(0, 150)), Buffer.concat(content.slice(149))];
  await refused(table, () => twice, 301);
});

test('a number of records that differs from what was expected is refused', async () => {
  await refused(table, (first) => [first]);
  await refused(index, () => []);
  await refused(table, (first, second) => [first, second], 299);
  await refused(index, (first, second) => [first, second], 301);
  await refused(table, (first, second) => [first, second], 0);
});

test('the records of a table are not those of an index, and the reverse', async () => {
  await expect(layOutChunks({...table, kind: 'key', name: 'i'}, halves(table.content))).rejects.toThrow(NotRecords);
  await expect(layOutChunks({...index, kind: 'rowid', name: 't'}, halves(index.content))).rejects.toThrow(NotRecords);
});

test('a length beyond the chunk is refused, also in a chunk that another one would be added to', async () => {
  const long = Buffer.of(0x8f, 0xff, 0xff, 0xff, 0x7f);
  await refused(index, (first, second) => [long, first, second]);
  await refused(index, (first, second) => [first, second, long]);
});

test('a chunk that is larger than any of a backup is refused', async () => {
  await refused(table, (first, second) => [first, second, Buffer.alloc(10 * 1024 * 1024)]);
});

test(
  'after any change of bytes the chunks are refused, or SQLite can read what they became',
  async () => {
    const seed = Date.now() % 2 ** 31;
    const random = generator(seed + 1);
    for (let round = 0; round < rounds; round++) {
      const tree = random(2) === 0 ? table : index;
      const chunks = halves(tree.content);
      for (let i = 1 + random(4); i > 0; i--) {
        const chunk = chunks[random(2)]!;
        chunk[random(chunk.length)] = random(256);
      }
      const error: unknown = await layOutChunks(tree, chunks).catch((reason: unknown) => reason);
      if (error !== undefined) expect(error, `seed ${seed}, round ${round}`).toBeInstanceOf(NotRecords);
      else expect(damage(tree), `seed ${seed}, round ${round}`).toEqual([]);
    }
  },
  60_000 + rounds * 1000,
);

/** What SQLite finds wrong with the pages; that the other tree lacks its entries is known. */
function damage({kind}: ReadTree): unknown[] {
  using database = new DatabaseSync(target, {readOnly: true});
  if (kind === 'rowid') database.prepare('SELECT count(*), sum(length(a)) FROM t NOT INDEXED').get();
  return database
    .prepare('PRAGMA quick_check(1000)')
    .all()
    .map((row) => String(row.quick_check))
    .filter(
      (message) => !/^ok$|wrong # of entries in index|missing from index|NULL value in|TEXT value in/.test(message),
    );
}
