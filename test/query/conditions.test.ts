import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {backupTablesIn} from '../../src/query/backup-tables.ts';
import type {Condition} from '../../src/query/conditions.ts';
import fc from '../seeds/fast-check.ts';

const runs = 400 * Number(process.env.BKP_TEST_RUNS ?? 1);

/** `column operator values` of the first table. */
function conditions(text: string): string[] {
  return backupTablesIn(text)[0]!.conditions.map(
    ({column, operator, values}) => `${column} ${operator} ${values.map(({value}) => value).join(' ')}`,
  );
}

const orders = "backup('shop').orders";

test.each<[string, readonly string[]]>([
  [`SELECT * FROM ${orders} WHERE id = 5`, ['id = 5']],
  [`select * from ${orders} o where o.id==-5;`, ['id = -5']],
  [`SELECT * FROM ${orders} AS "o x" WHERE "o x"."id" >= 5 AND [o x].id < 9 AND note LIKE 'a'`, ['id >= 5', 'id < 9']],
  [`SELECT * FROM ${orders} WHERE 5 <= id AND (7 > id)`, ['id >= 5', 'id < 7']],
  [
    `SELECT * FROM ${orders} WHERE id BETWEEN 2 AND 4 AND x BETWEEN 1 AND 2 AND id > 3`,
    ['id >= 2', 'id <= 4', 'x >= 1', 'x <= 2', 'id > 3'],
  ],
  [`SELECT * FROM ${orders} WHERE id IN (1, -2, 'a''b') ORDER BY id LIMIT 5`, ["id = 1 -2 a'b"]],
  [`SELECT * FROM a JOIN ${orders} ON a.x = orders.id WHERE orders.id = 5 AND id = 6 GROUP BY id`, ['id = 5']],
  [`SELECT * FROM ${orders} LEFT JOIN b USING (id) WHERE orders.id = 5`, ['id = 5']],
  [`SELECT (SELECT x FROM ${orders} WHERE id = 7) WHERE 1 OR 2`, ['id = 7']],
  [`SELECT * FROM ${orders} WHERE id = 5 UNION SELECT * FROM b WHERE b.id = 7 OR 1`, ['id = 5']],
  [`SELECT * FROM ${orders} WHERE id = 9223372036854775807 AND id < 9223372036854775808`, ['id = 9223372036854775807']],
])('the terms of a WHERE limit the rows: %s', (text, expected) => {
  expect(conditions(text)).toEqual(expected);
});

test.each([
  `SELECT * FROM ${orders}`,
  `SELECT * FROM ${orders} WHERE id = 5 OR 1`,
  `SELECT * FROM ${orders} WHERE NOT id = 5`,
  `SELECT * FROM ${orders} WHERE id = 5 IS NULL`,
  `SELECT * FROM ${orders} WHERE id = 5 COLLATE NOCASE`,
  `SELECT * FROM ${orders} WHERE id = 5 + 1`,
  `SELECT * FROM ${orders} WHERE -id = 5`,
  `SELECT * FROM ${orders} WHERE id <> 5`,
  `SELECT * FROM ${orders} WHERE id = 5.0`,
  `SELECT * FROM ${orders} WHERE id = 5e1 AND id = 0x10`,
  `SELECT * FROM ${orders} WHERE id IN (1, x)`,
  `SELECT * FROM ${orders} WHERE id IN (SELECT 1)`,
  `SELECT * FROM ${orders} WHERE id NOT IN (1)`,
  `SELECT * FROM ${orders} WHERE id NOT BETWEEN 1 AND 2`,
  `SELECT * FROM ${orders} WHERE x BETWEEN 1 AND id = 5`,
  `SELECT * FROM ${orders} WHERE CASE WHEN x AND id = 5 AND y THEN 0 ELSE 1 END`,
  `SELECT * FROM ${orders} WHERE (SELECT 1 FROM b WHERE b.x AND orders.id = 5)`,
  `SELECT * FROM ${orders} WHERE EXISTS (SELECT 1 FROM b WHERE orders.id = 5)`,
  `SELECT * FROM ${orders} WHERE 'id' = 5`,
  `SELECT * FROM ${orders}, b WHERE id = 5`,
  `SELECT * FROM ${orders} o WHERE orders.id = 5`,
  `SELECT * FROM ${orders} JOIN b ON orders.id = 5`,
  `SELECT * FROM (SELECT * FROM ${orders}) WHERE id = 5`,
  `SELECT * FROM (${orders} JOIN b) WHERE orders.id = 5`,
  `SELECT * FROM ${orders} GROUP BY x HAVING id = 5`,
])('whatever is not certain limits nothing: %s', (text) => {
  expect(conditions(text)).toEqual([]);
});

const scalar = fc.constantFrom(
  ...[
    'id',
    't.id',
    'u.id',
    'x',
    't.x',
    '"id"',
    '[id]',
    'rowid',
    't.rowid',
    'NULL',
    '5.5',
    "'5'",
    "'id'",
    '-id',
    'x + 1',
  ],
);
const literal = fc.constantFrom('0', '3', '-2', '5', '7', '9223372036854775807', "'4'", "'b'");
const operator = fc.constantFrom('=', '==', '<', '<=', '>', '>=', '<>', 'IS', '<<', '||', '-');

/** Texts of conditions, some of them in forms that limit the rows of `t`. */
const condition = fc.letrec<{any: string}>((tie) => ({
  any: fc.oneof(
    {maxDepth: 4},
    fc.tuple(scalar, operator, literal).map((words) => words.join(' ')),
    fc.tuple(literal, operator, scalar).map((words) => words.join(' ')),
    fc
      .tuple(scalar, fc.array(fc.oneof(literal, scalar), {minLength: 1, maxLength: 3}))
      .map(([a, list]) => `${a} IN (${list})`),
    fc
      .tuple(scalar, fc.constantFrom('', 'NOT '), literal, literal)
      .map(([a, not, b, c]) => `${a} ${not}BETWEEN ${b} AND ${c}`),
    fc.tuple(tie('any'), fc.constantFrom('AND', 'AND', 'AND', 'OR'), tie('any')).map((words) => words.join(' ')),
    tie('any').map((inner) => `(${inner})`),
    tie('any').map((inner) => `NOT ${inner}`),
    tie('any').map((inner) => `CASE WHEN ${inner} THEN 1 ELSE 0 END`),
    tie('any').map((inner) => `EXISTS (SELECT 1 FROM u WHERE ${inner})`),
    tie('any').map((inner) => `${inner} COLLATE NOCASE`),
  ),
})).any;

const sources = fc.constantFrom(
  ...['T', 'T AS t', 'T t JOIN u', 'u JOIN T AS t', 'u LEFT JOIN T t ON u.x = t.x', 'T t LEFT JOIN u ON u.id = t.id'],
  ...['T t FULL JOIN u ON u.id = t.id', 'T t RIGHT JOIN u ON u.x < t.x', '(SELECT * FROM T) AS t', 'T t, u'],
);

/** Each row is in `t` with a whole number, a text, NULL … */
function database(): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec(`CREATE TABLE all_rows (id INTEGER PRIMARY KEY, x); CREATE TABLE u (id INTEGER PRIMARY KEY, x);
    INSERT INTO all_rows VALUES (-2, 'b'), (0, NULL), (3, 3), (4, '4'), (5, 5.5), (6, 3), (7, 'B'),
      (9223372036854775807, 1);
    INSERT INTO u VALUES (3, 5), (5, 'b'), (8, NULL); CREATE TABLE t AS SELECT * FROM all_rows WHERE 0`);
  return db;
}

/** Only the rows for which the conditions hold, as a table that was loaded in part has them. */
function keepOnly(db: DatabaseSync, wanted: readonly Condition[]): void {
  const terms = wanted
    // Only whole numbers limit rowids.
    .filter(({column, values}) => /^(id|rowid)$/i.test(column) && values.every(({kind}) => kind === 'integer'))
    .map(({operator: sign, values}) => `(${values.map(({value}) => `id ${sign} ${value}`).join(' OR ')})`);
  db.exec(`DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, x);
    INSERT INTO t SELECT * FROM all_rows WHERE ${terms.join(' AND ') || '1'}`);
}

test('a statement has the same result on the rows that its conditions leave', () => {
  const db = database();
  let limited = 0;
  const result = (text: string) => {
    try {
      return db
        .prepare(text.replaceAll(/\bT\b/g, 't'))
        .all()
        .map((row) => JSON.stringify(Object.values(row), asText))
        .sort();
    } catch (error) {
      return (error as Error).message;
    }
  };
  fc.assert(
    fc.property(sources, condition, fc.constantFrom('t.id, t.x', 'count(*)', 't.id, u.id'), (from, where, columns) => {
      const text = `SELECT ${columns} FROM ${from} WHERE ${where}`;
      keepOnly(db, []);
      const full = result(text);
      const {conditions: found} = backupTablesIn(text.replace(/\bT\b/, "backup('c').t"))[0]!;
      if (found.length === 0) return;
      limited++;
      keepOnly(db, found);
      expect(result(text), text).toEqual(full);
    }),
    {numRuns: runs},
  );
  // Otherwise the test would prove nothing.
  expect(limited).toBeGreaterThan(runs / 80);
});

const asText = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
