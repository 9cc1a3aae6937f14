import {expect, test} from 'vitest';
import {openDatabase, tableOf} from '../../src/query/database.ts';
import {guard} from '../../src/query/guard.ts';
import {type Catalogue, defineView} from '../../src/query/index.ts';
import {isQuick} from '../../src/query/quick.ts';
import {rewrite} from '../../src/query/rewrite.ts';

const catalogue: Catalogue = {
  views: {a: defineView({x: 'INT'}, () => []), b: defineView({x: 'INT'}, () => [])},
  scalars: {name: {type: 'VARCHAR', bare: true, value: () => ''}},
};
const views = Object.keys(catalogue.views);

/** Whether the statement runs in this process, not in one that can be killed. */
function quick(written: string): boolean {
  const {text} = rewrite(written, {views: new Set(views), bare: new Set(['name'])});
  const database = openDatabase(catalogue, () => null, {attached: 0});
  const tables = new Set(views.flatMap((view) => [view, tableOf(view)]));
  const heard = guard(database, tables);
  database.prepare(text);
  database.close();
  return isQuick(text, tables, heard, catalogue);
}

test.each([
  'SELECT 1',
  'SELECT name',
  'SELECT x FROM a() ORDER BY x DESC LIMIT 1;',
  "SELECT count(*), max(x) FROM a WHERE x > 1 AND datetime(x) > datetime('now', '-1 day') GROUP BY " +
    'x HAVING count(*) > 1',
  "SELECT 'select' AS s, x || '/' || x -- SELECT\nFROM a() LIMIT -3",
])('a quick statement: %s', (text) => {
  expect(quick(text)).toBe(true);
});

test.each([
  'SELECT 1 FROM a(), a() b',
  'SELECT 1 FROM a x JOIN b y',
  "SELECT 1 FROM a x, 'a' y",
  'SELECT 1 FROM a x, "a" y',
  'SELECT 1 FROM a x, [b] y',
  'SELECT 1 FROM a x, `B` y',
  'SELECT 1 FROM "rows of a" x, "rows of a" y',
  'SELECT 1 FROM a, (VALUES (1), (2))',
  'SELECT (SELECT 1)',
  'SELECT x FROM a UNION SELECT 2',
  'SELECT 1 WHERE 1 IN (SELECT x FROM a)',
  'SELECT sum(x) OVER (ORDER BY x) FROM a',
  'SELECT sum(x) OVER w FROM a WINDOW w AS (ORDER BY x)',
  'SELECT hex(zeroblob(10000000)) FROM a ORDER BY 1',
  "SELECT printf('%100000d', x) FROM a",
  'SELECT group_concat(x) FROM a',
  `SELECT x FROM a ORDER BY ${Array(20).fill('x').join(' || ')}`,
  `SELECT x FROM a WHERE x <> '${'x'.repeat(5000)}'`,
])('a statement that may take long: %s', (text) => {
  expect(quick(text)).toBe(false);
});
