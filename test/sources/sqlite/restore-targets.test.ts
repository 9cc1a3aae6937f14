import {existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import type {DatabaseFacts, TableSchema} from '../../../src/sources/source.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {rowStream} from '../row-stream.ts';

/** Targets of a restore, and unusual backups: an empty file, a table without a key, a wrong schema. */

type Copy = {schema: TableSchema; database: DatabaseFacts; segments: Uint8Array[]};

function place(): string {
  const path = mkdtempSync(join(tmpdir(), 'bkp-targets-'));
  onTestFinished(() => rmSync(path, {recursive: true, force: true}));
  return path;
}

function database(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

function rowsOf(path: string, sql: string): unknown[] {
  const db = new DatabaseSync(path);
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => Object.values(row).join('|'));
  } finally {
    db.close();
  }
}

async function copyOf(path: string, table: string): Promise<Copy> {
  const snapshot = await new SqliteSource(path).snapshot({tables: [table]});
  try {
    const segments: Uint8Array[] = [];
    for await (const segment of await rowStream(snapshot, table)) segments.push(segment.bytes);
    return {schema: snapshot.schemas[0]!, database: snapshot.database, segments};
  } finally {
    await snapshot.close();
  }
}

async function restore(path: string, copy: Copy): Promise<void> {
  const staging = await new SqliteSource(path).stage([copy.schema], {id: 'test', database: copy.database});
  try {
    for (const segment of copy.segments) await staging.load(copy.schema.name, segment);
    await staging.finish({check: 'full'});
    await staging.publish({});
  } finally {
    await staging.discard();
  }
}

test('a table without a key keeps its rowids in an existing database', async () => {
  const folder = place();
  database(join(folder, 'a.db'), 'CREATE TABLE n (x); INSERT INTO n (rowid, x) VALUES (10, 1), (-7, 2)');
  database(join(folder, 'b.db'), 'CREATE TABLE other (x)');
  await restore(join(folder, 'b.db'), await copyOf(join(folder, 'a.db'), 'n'));
  expect(rowsOf(join(folder, 'b.db'), 'SELECT rowid, x FROM n')).toEqual(['-7|2', '10|1']);
});

test('an empty file gets the encoding, page size and journal mode of the backup', async () => {
  const folder = place();
  const pragmas = `PRAGMA encoding = 'UTF-16le'; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;`;
  database(
    join(folder, 'a.db'),
    `${pragmas} CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 'é')`,
  );
  const path = join(folder, 'empty.db');
  writeFileSync(path, '');
  await restore(path, await copyOf(join(folder, 'a.db'), 't'));
  expect(rowsOf(path, 'SELECT id, x FROM t')).toEqual(['1|é']);
  for (const [name, value] of [
    ['encoding', 'UTF-16le'],
    ['page_size', '8192'],
    ['journal_mode', 'wal'],
  ] as const) {
    expect(rowsOf(path, `PRAGMA ${name}`)).toEqual([value]);
  }
});

test('a table whose columns hide every name of the rowid is read to its end', async () => {
  const folder = place();
  const columns = 'rowid INTEGER, _rowid_ TEXT, oid TEXT, PRIMARY KEY (oid, rowid)';
  database(
    join(folder, 'a.db'),
    `CREATE TABLE t (${columns}) WITHOUT ROWID;
     INSERT INTO t SELECT value, hex(randomblob(600)), 'k' || value FROM (
       WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 4000)
         SELECT value FROM n)`,
  );
  const copy = await copyOf(join(folder, 'a.db'), 't');
  expect(copy.segments.length).toBeGreaterThan(2);
  await restore(join(folder, 'b.db'), copy);
  const query = 'SELECT rowid, _rowid_, oid FROM t ORDER BY oid';
  expect(rowsOf(join(folder, 'b.db'), query)).toEqual(rowsOf(join(folder, 'a.db'), query));
});

test('only the one CREATE statement of a schema in a backup runs', async () => {
  const folder = place();
  database(join(folder, 'a.db'), 'CREATE TABLE t (id INTEGER PRIMARY KEY)');
  const copy = await copyOf(join(folder, 'a.db'), 't');
  const evil = join(folder, 'evil.db');
  const withTable = (table: string): Copy => ({
    ...copy,
    schema: {...copy.schema, definition: {...copy.schema.definition, table}},
  });
  const attach = `ATTACH '${evil}' AS evil; CREATE TABLE evil.t (x)`;
  await restore(join(folder, 'b.db'), withTable(`${copy.schema.definition.table}; ${attach}`));
  await expect(restore(join(folder, 'c.db'), withTable(attach))).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(existsSync(evil)).toBe(false);
});

test('a link that leads nowhere is refused before anything is staged', async () => {
  const folder = place();
  database(join(folder, 'a.db'), 'CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
  const copy = await copyOf(join(folder, 'a.db'), 't');
  const link = join(folder, 'link.db');
  symlinkSync('nowhere.db', link);
  await expect(restore(link, copy)).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: `${link} is a link to nowhere.db, where nothing is`,
  });
  expect(existsSync(join(folder, 'nowhere.db'))).toBe(false);
});
