import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {deltaSize} from '../layers.ts';
import {Database, expectComesBack, expectTracked, full, increment, owner} from './database.ts';

/** How tracking treats UNIQUE indexes on computed values, and what it costs the application. */

test('an index expression is computed with the affinities of the columns', async () => {
  // As texts both are greater than '5'; compared without affinity they would not be the same to the index.
  await expectTracked(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
     CREATE UNIQUE INDEX u ON t ((a > 5)); INSERT INTO t VALUES (1, '40')`,
    `INSERT OR REPLACE INTO t VALUES (2, '41')`,
  );
});

test('ANY converts nothing in a STRICT table, but does elsewhere', async () => {
  for (const strict of ['', 'STRICT']) {
    await expectTracked(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, a ANY) ${strict};
       CREATE UNIQUE INDEX u ON t (typeof(a)); INSERT INTO t VALUES (1, '7'), (2, x'00')`,
      `INSERT OR REPLACE INTO t VALUES (4, '9')`,
    );
  }
});

test('rows that a partial index could evict are found by that index', async () => {
  const database = new Database(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, active INTEGER);
     CREATE UNIQUE INDEX u ON t (email) WHERE active = 1`,
  );
  await full(database, ['t']);
  const trigger = String(database.value(`SELECT sql FROM sqlite_schema WHERE name = '_bkp_evict_t'`));
  const query = /SELECT .*?(?=; )/s.exec(trigger)![0].replaceAll(/(?:NEW|OLD)\."\w+"/g, '?');
  const plan = database.db.prepare(`EXPLAIN QUERY PLAN ${query}`).all();
  expect(plan.map((step) => step.detail)).toContainEqual(expect.stringContaining('USING COVERING INDEX u (email=?)'));
  expect(plan.map((step) => step.detail)).not.toContainEqual(expect.stringContaining('SCAN'));
});

test('a double-quoted text in an index stays a text for programs that would read it as a name', async () => {
  const database = new Database(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, "st""ate" TEXT);
     CREATE UNIQUE INDEX u ON t (email) WHERE "st""ate" = "act""ive";
     CREATE UNIQUE INDEX v ON t (email || "-" || "st""ate");
     INSERT INTO t VALUES (1, 'a', 'act"ive'), (2, 'b', 'new')`,
  );
  const base = await full(database, ['t']);
  const other = new DatabaseSync(database.path, {enableDoubleQuotedStringLiterals: false});
  other.exec(`INSERT OR REPLACE INTO t VALUES (3, 'a', 'act"ive'), (4, 'b', 'new')`);
  other.close();
  await expectComesBack(database, await increment(database, base));
});

test('an expression is computed only for rows that its partial index holds', async () => {
  // json_extract raises an error for every other text.
  const database = new Database(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, v);
     CREATE UNIQUE INDEX u ON t (json_extract(v, '$.a')) WHERE json_valid(v);
     CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT NOT NULL DEFAULT '{"a": 1}', n);
     CREATE UNIQUE INDEX w ON d (json_extract(v, '$.a'), n) WHERE json_valid(v);
     INSERT INTO t VALUES (1, '{"a": 1}'), (2, 'none'), (3, '{"a": 3}'); INSERT INTO d (id) SELECT id FROM t;
     UPDATE d SET n = id`,
  );
  const base = await full(database, ['t', 'd']);
  database.exec(`INSERT INTO t VALUES (4, 'none'); UPDATE t SET v = 'nor this' WHERE id = 1;
    INSERT OR REPLACE INTO t VALUES (5, '{"a": 3}'); UPDATE t SET v = '{"a": 6}' WHERE id = 2;
    INSERT OR REPLACE INTO d VALUES (4, NULL, 2); INSERT INTO d VALUES (5, 'none', 3)`);
  const second = await increment(database, base);
  await expectComesBack(database, second);
  database.exec(
    `UPDATE OR REPLACE t SET v = '{"a": 3}' WHERE id = 2; UPDATE OR REPLACE d SET v = NULL, n = 1 WHERE id = 5`,
  );
  await expectComesBack(database, await increment(database, second));
});

test('the condition of an index may need a rowid that SQLite has yet to choose', async () => {
  await expectTracked(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX u ON t (lower(a)) WHERE id > 1;
     CREATE TABLE s (a TEXT PRIMARY KEY, b); CREATE UNIQUE INDEX v ON s (lower(b)) WHERE rowid > 1;
     INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO s VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
    `INSERT OR REPLACE INTO t (a) VALUES ('B'); INSERT OR REPLACE INTO s VALUES (4, 'C')`,
    ['t', 's'],
  );
});

test.each(['old', 'NEW'])('a table called %s is not confused with the rows of a trigger', async (name) => {
  const database = new Database(
    `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, u UNIQUE, v);
     CREATE UNIQUE INDEX i ON ${name} (v || 'x') WHERE ${name}.v > 0;
     INSERT INTO ${name} VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 0), (5, 'e', 5), (6, 'f', 6)`,
  );
  const base = await full(database, [name]);
  database.exec(`UPDATE OR REPLACE ${name} SET u = 'b' WHERE id = 1; INSERT OR REPLACE INTO ${name} VALUES (9, 'c', 5);
    UPDATE OR REPLACE ${name} SET v = 6 WHERE id = 4`);
  expect(database.value(`SELECT group_concat(id ORDER BY id) FROM ${name}`)).toBe('1,4,9');
  const second = await increment(database, base);
  await expectComesBack(database, second);
  // Only these rows, and not all of the table, are found.
  expect(deltaSize(second, name).keys).toBe(7);
});

test.each(['old', 'new'])('rowids beside the key of a table called %s are told apart', async (name) => {
  await expectTracked(
    `CREATE TABLE ${name} (id TEXT PRIMARY KEY, v);
     INSERT INTO ${name} (rowid, id) VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
    `UPDATE OR REPLACE ${name} SET rowid = 2 WHERE id = 'a';
     INSERT OR REPLACE INTO ${name} (rowid, id) VALUES (3, 'z')`,
    [name],
  );
});

test('a column that no unique index uses can be dropped while the table is tracked', async () => {
  const database = new Database(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); CREATE UNIQUE INDEX u ON t (lower(a)) WHERE b > 0`,
  );
  await full(database, ['t']);
  database.exec('ALTER TABLE t DROP COLUMN c');
  database.exec(`INSERT INTO t VALUES (1, 'x', 1)`);
});

test('the end of tracking leaves nothing behind', async () => {
  const schema = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX u ON t (lower(a))';
  const database = new Database(schema);
  await full(database, ['t']);
  await database.source.untrack(owner);
  expect(
    database.db
      .prepare('SELECT name FROM sqlite_schema')
      .all()
      .map(({name}) => name),
  ).toEqual(['t', 'u']);
});

test('a table whose changes triggers cannot see is refused tracking, with the reason', async () => {
  const database = new Database('CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX u ON t (id % 10)');
  await expect(full(database, ['t'])).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    cause: expect.stringContaining('unique index u'),
  });
  expect(database.value("SELECT count(*) FROM sqlite_schema WHERE name LIKE '_bkp_%'")).toBe(0);
});

test('acknowledging a mark that the database does not know changes nothing', async () => {
  const database = new Database('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const base = await full(database, ['t']);
  await database.source.acknowledge(owner, 'a mark of another database');
  database.exec('INSERT INTO t VALUES (1, 1)');
  await expectComesBack(database, await increment(database, base));
});

test('an update of columns that no unique index depends on searches for no rows', async () => {
  const database = new Database(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d, e, g AS (lower(d) || d));
     CREATE UNIQUE INDEX u ON t (lower(a)) WHERE B > 0; CREATE UNIQUE INDEX v ON t (g)`,
  );
  await full(database, ['t']);
  const trigger = String(database.value(`SELECT sql FROM sqlite_schema WHERE name = '_bkp_evict_t'`));
  expect(/ OF (.*) ON /.exec(trigger)?.[1]).toBe('"a", "b", "d"');
  await expectTracked(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, d, g AS (lower(d)));
     CREATE UNIQUE INDEX u ON t (a) WHERE b > 0; CREATE UNIQUE INDEX v ON t (g);
     INSERT INTO t (id, a, b, d) VALUES (1, 'x', 1, 'p'), (2, 'x', 0, 'q'), (3, 'y', 1, 'R')`,
    `UPDATE OR REPLACE t SET b = 5 WHERE id = 2; UPDATE OR REPLACE t SET d = 'r' WHERE id = 2`,
  );
});
