import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';
import {type Backup, loadStaging} from '../sources/layers.ts';
import {Database, filesIn, folder, full, increment} from '../sources/sqlite/database.ts';
import {recordsOf, withBases} from '../sources/sqlite/records.ts';

/** Restores into a new file and into an existing database, and compares every bit. @returns the notices */
async function expectBack(database: Database, backup: Backup, tables: readonly string[]): Promise<string[]> {
  const encoding = String(database.value('PRAGMA encoding'));
  const path = join(folder(), 'new.db');
  const other = new Database(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = 1024; CREATE TABLE other (x)`);
  const notices: string[] = [];
  for (const [source, check] of [
    [new SqliteSource(path), 'full'],
    [other.source, 'quick'],
  ] as const) {
    const staging = await loadStaging(source, backup);
    await staging.finish({check, notice: (text) => notices.push(text)});
    await staging.publish({notice: (text) => notices.push(text)});
  }
  for (const restored of [path, other.path]) {
    expectSame(restored, database.path, tables);
    expect(filesIn(join(restored, '..')).filter((name) => name.includes('stage'))).toEqual([]);
  }
  return notices;
}

const rows = (count: number) => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
/** Half of the values are long enough for overflow pages. */
const values = `i, CASE i % 4 WHEN 0 THEN i WHEN 1 THEN i + 0.5 WHEN 2 THEN 't' || i WHEN 3 THEN NULL END,
  i * 7919 % 5000, CASE WHEN i % 200 THEN 'text' || i ELSE hex(randomblob(5000)) END`;

const kinds: Record<string, string> = {
  'a rowid table': 'CREATE TABLE t (k INTEGER PRIMARY KEY, a, b INTEGER, c TEXT)',
  'a key of text': 'CREATE TABLE t (k TEXT PRIMARY KEY, a, b REAL, c TEXT)',
  'a key of text, WITHOUT ROWID': 'CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, a, b REAL, c TEXT) WITHOUT ROWID',
  'a key of two columns, one descending, WITHOUT ROWID':
    'CREATE TABLE t (k, a, b NUMERIC NOT NULL, c TEXT, PRIMARY KEY (b DESC, k), UNIQUE (c, k DESC)) WITHOUT ROWID',
  'constraints of its own':
    'CREATE TABLE t (k INTEGER UNIQUE, a, b, c TEXT, UNIQUE (a, b, k), PRIMARY KEY (b, k DESC))',
  'a key with NULLs': 'CREATE TABLE t (k, a, b, c TEXT, PRIMARY KEY (a, k))',
};

const indexes = `CREATE INDEX i1 ON t (b); CREATE INDEX i2 ON t (c COLLATE NOCASE DESC, a);
  CREATE UNIQUE INDEX i3 ON t (k, b); CREATE INDEX i4 ON t (lower(c)); CREATE INDEX i5 ON t (a) WHERE b > 2500`;

describe('a base of records comes back bit for bit', () => {
  for (const [kind, table] of Object.entries(kinds)) {
    for (const pragmas of ['', 'PRAGMA page_size = 512; PRAGMA encoding = "UTF-16be"; PRAGMA auto_vacuum = 1']) {
      test(`${kind} ${pragmas === '' ? '' : 'in pages of 512 bytes, with pointer maps'}`, async () => {
        const database = new Database(`${pragmas}; ${table}; ${rows(2500)} INSERT INTO t SELECT ${values} FROM n;
          ${indexes}; INSERT INTO t VALUES (-5, NULL, 1, NULL), (-6, NULL, 2, x'00')`);
        const base = await full(database, ['t']);
        const bases = recordsOf(database, base);
        expect(bases.t!.trees.length).toBeGreaterThan(5);
        expect(await expectBack(database, withBases(base, bases), ['t'])).toEqual([]);

        // Few changes: indexes are maintained. Then many: they are built again.
        for (const changes of [
          `DELETE FROM t WHERE b = 77; UPDATE t SET b = b + 0.25, a = 'new' WHERE k BETWEEN 100 AND 120;
           INSERT INTO t SELECT k + 100000, a, b, 'again' FROM t WHERE k BETWEEN 200 AND 230`,
          `UPDATE t SET c = c || 'x' WHERE k % 2 = 0; DELETE FROM t WHERE k % 5 = 0`,
        ]) {
          database.exec(changes);
          const next = await increment(database, base);
          expect(await expectBack(database, withBases(next, bases), ['t'])).toEqual([]);
        }
      });
    }
  }
});
