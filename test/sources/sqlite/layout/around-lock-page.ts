import {closeSync, mkdtempSync, openSync, readSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, expect} from 'vitest';
import {expectSame} from '../../../helpers/sqlite-compare.ts';
import {fillDatabase, type RandomTable} from './random-database.ts';
import {extendTo} from './sparse.ts';
import {chunksOf, createDatabase, layOut, statementsOf} from './target.ts';
import {readTrees} from './trees.ts';

const folder = mkdtempSync(join(tmpdir(), 'bkp-lock-page-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** Leaves, inner pages, and keys with overflow pages in leaves and inner pages. */
const table = {rows: 50, long: 0.3, rowids: 'anywhere', seed: 7} as const;
const content: RandomTable[] = [
  {...table, columns: '(id INTEGER PRIMARY KEY, a, b TEXT, c REAL)', index: '(b DESC, a)'},
  {...table, columns: '(id TEXT PRIMARY KEY, a, b TEXT, c REAL) WITHOUT ROWID', index: '(a)'},
];

/** Lays out a database whose new pages begin this many pages before the one with the bytes that SQLite locks. */
export async function layOutAround(file: {pageSize: number; autoVacuum: number; reserved?: number}, before: number) {
  const lockPage = 0x40000000 / file.pageSize + 1;
  // Values are a few pages long, so that the number of pages hardly depends on their size.
  const source = join(folder, `source-${file.pageSize}.db`);
  if (statSync(source, {throwIfNoEntry: false}) === undefined) fillDatabase(source, {pageSize: file.pageSize}, content);
  const restored = join(folder, 'restored.db');
  {
    using from = new DatabaseSync(source);
    using to = createDatabase(restored, file);
    for (const sql of statementsOf(from)) to.exec(sql);
  }
  extendTo(restored, lockPage - before);
  const {pages} = await layOut(restored, readTrees(source), {cut: chunksOf(10 * file.pageSize)});
  expect(pages).toBeGreaterThan(lockPage + 20);
  expect(isZero(restored, lockPage, file.pageSize)).toBe(true);
  expectSame(restored, source);
}

function isZero(path: string, page: number, pageSize: number): boolean {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(pageSize);
    readSync(file, bytes, 0, pageSize, (page - 1) * pageSize);
    return bytes.every((byte) => byte === 0);
  } finally {
    closeSync(file);
  }
}
