import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {sameValues} from '../../../src/sources/sqlite/engine/same-values.ts';
import {merge, takeFull} from '../layers.ts';
import {Database} from './database.ts';

const values = [
  ...['NULL', '0', '0.0', '-0.0', '1', '1.0', '-1', '9e999', '-9e999', '9007199254740993', '9007199254740992.0'],
  ...[`''`, `'0'`, `'0.0'`, `'-0.0'`, `'1'`, `'a'`, `'A'`, `'a '`, `'a' || char(0) || 'b'`, `'a' || char(0)`],
  ...[`CAST(x'ff' AS TEXT)`, `CAST(x'fe' AS TEXT)`, `x''`, `x'30'`, `x'00'`, `x'302e30'`],
];

test.each(['', 'TEXT', 'REAL', 'INTEGER', 'NUMERIC', 'TEXT COLLATE NOCASE'])(
  'two values of a column of type %s are the same if their bits are',
  (type) => {
    const db = new DatabaseSync(':memory:');
    db.exec(`CREATE TABLE t (n INTEGER PRIMARY KEY, v ${type}); INSERT INTO t (v) VALUES (${values.join('), (')})`);
    const read = db.prepare(
      `SELECT a.v AS a, b.v AS b, typeof(a.v) AS ta, typeof(b.v) AS tb, hex(a.v) AS ha, hex(b.v) AS hb,
           ${sameValues([['a.v', 'b.v']])} AS same
         FROM t AS a, t AS b`,
    );
    read.setReadBigInts(true);
    for (const {a, b, ta, tb, ha, hb, same} of read.all()) {
      const areSame = ta === tb && ha === hb && (typeof a !== 'number' || Object.is(a, b));
      expect(same === 1n, `${ta} ${String(a)} and ${tb} ${String(b)}`).toBe(areSame);
    }
    db.close();
  },
);

test('rows of as many columns as a table can have are compared', () => {
  const db = new DatabaseSync(':memory:');
  const columns = Array.from({length: 2000}, (_, at) => `c${at}`);
  db.exec(`CREATE TABLE t (${columns.join(', ')}); INSERT INTO t (c0, c1999) VALUES (1, 2), (1, 3), (1, 2)`);
  const same = sameValues(columns.map((column) => [`a.${column}`, `b.${column}`]));
  const pairs = db.prepare(`SELECT a.rowid AS a, b.rowid AS b FROM t AS a, t AS b WHERE a.rowid < b.rowid AND ${same}`);
  expect(pairs.all()).toEqual([{a: 1, b: 3}]);
  db.close();
});

test('a zero that lost its sign is changed back', async () => {
  const database = new Database('CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (4, -0.0)');
  const backup = await takeFull(database.source, {tables: ['t']});
  database.exec('UPDATE t SET v = 0.0');
  expect(await merge(database.source, backup, 'merge')).toMatchObject([{updated: 1}]);
  expect(database.value('SELECT v FROM t')).toBe(-0);
});
