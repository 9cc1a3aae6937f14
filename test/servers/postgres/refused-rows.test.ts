import {expect, test} from 'vitest';
import {fillStaging, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

// A function was replaced since the rows were written, and refuses them now; generated columns of keys.

const clusters = {15: clusterOfFile(15), 16: clusterOfFile(16), 18: clusterOfFile(18)};

async function restored(version: keyof typeof clusters, sql: string, tables: readonly string[]) {
  const {database, target} = await filledAndEmpty(clusters[version](), sql);
  const missing: {name: string; why: string}[] = [];
  const staging = await fillStaging(target.source, await takeFull(database.source, {tables}));
  await staging.publish({missing: (part) => missing.push(part)});
  await staging.discard();
  return {database, target, missing};
}

const f = (body: string) =>
  `CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN ${body} END';`;
const refusing = f("IF $1 > 1 THEN RAISE ''not %'', $1; END IF; RETURN $1;");

test.each([15, 16, 18] as const)(
  'rows come back without a generated column that refuses them (%i)',
  async (version) => {
    const {database, target, missing} = await restored(
      version,
      `${f('RETURN $1;')} CREATE FUNCTION h(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
     CREATE TABLE t (id int PRIMARY KEY, "G" int NOT NULL GENERATED ALWAYS AS (f(id)) STORED,
       h int GENERATED ALWAYS AS (h(id)) STORED, v text); CREATE INDEX i ON t ("G");
     CREATE TABLE p (id int, g int GENERATED ALWAYS AS (f(id)) STORED) PARTITION BY RANGE (id);
     CREATE TABLE p1 PARTITION OF p DEFAULT; CREATE TABLE u (id int PRIMARY KEY REFERENCES t);
     INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'); INSERT INTO p VALUES (1), (2); INSERT INTO u VALUES (2);
     ${refusing}`,
      ['public.p', 'public.t', 'public.u'],
    );
    for (const rows of ['(SELECT id, h, v FROM t)', '(SELECT id FROM p)', 'u']) {
      expect(await target.rows(rows)).toEqual(await database.rows(rows));
    }
    expect(missing.map(({name}) => name).toSorted()).toEqual([
      'the values of the generated column G of public.t',
      'the values of the generated column g of public.p',
    ]);
    await target.exec(f('RETURN $1;'));
    for (const {why} of missing) {
      expect(why).toMatch(/^not 2/u);
      await target.exec(/(UPDATE .*;) computes its values$/u.exec(why)![1]!);
    }
    for (const rows of ['t', 'p']) expect(await target.rows(rows)).toEqual(await database.rows(rows));
  },
);

test.each([15, 18] as const)('rows come back that belong to no partition any more (%i)', async (version) => {
  const {database, target, missing} = await restored(
    version,
    `${f('RETURN $1;')} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY, v int) PARTITION BY LIST (f(v));
     CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
     INSERT INTO p (v) VALUES (1), (2); ${f('RETURN $1 + 1;')}`,
    ['public.p'],
  );
  expect(await target.rows('p')).toEqual(await database.rows('p'));
  expect(missing.map(({name}) => name)).toEqual(['the partition of 1 row of public.p']);
  await target.exec(f('RETURN $1;'));
  await target.exec(/mended, (WITH .*;) moves them$/u.exec(missing[0]!.why)![1]!);
  expect(await target.rows('p')).toEqual(await database.rows('p'));
  expect(await target.rows('(SELECT v FROM p2)')).toContain('(2)');
});

test('rows that a domain and a generated column refuse come back', async () => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
     CREATE DOMAIN d AS int CONSTRAINT k CHECK (ok(value));
     CREATE TABLE t (id int PRIMARY KEY, v d[], g int GENERATED ALWAYS AS (f(id)) STORED,
       h int GENERATED ALWAYS AS (f(id + 1)) STORED);
     INSERT INTO t VALUES (1, '{1}'), (2, '{2}');
     CREATE OR REPLACE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 2';
     ${refusing}`,
    ['public.t'],
  );
  expect(await target.rows('(SELECT id, v FROM t)')).toEqual(await database.rows('(SELECT id, v FROM t)'));
  expect(missing.map(({name}) => name.replace(/ of public.*/u, ''))).toEqual([
    'the values of the generated column g',
    'the values of the generated column h',
  ]);
  await expect(target.exec("INSERT INTO t VALUES (3, '{3}')")).rejects.toThrow('k');
});

test.each([15, 18] as const)('a table comes back whose primary key has a generated column (%i)', async (version) => {
  const {database, target, missing} = await restored(
    version,
    `CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED, v text, PRIMARY KEY (g, id));
     INSERT INTO t VALUES (1, DEFAULT, 'a'), (2, DEFAULT, 'b')`,
    ['public.t'],
  );
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(missing).toEqual([]);
  await target.exec('INSERT INTO t (id) VALUES (7)');
  expect(await target.rows('(SELECT g FROM t)')).toContain('(8)');
});

test.each([
  ['raises', refusing],
  ['gives one value', f('RETURN 1;')],
])('a generated column of a primary key has its values if its function %s', async (_what, replaced) => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE TABLE t (id int, g int GENERATED ALWAYS AS (f(id)) STORED PRIMARY KEY);
     INSERT INTO t VALUES (1), (2); ${replaced}`,
    ['public.t'],
  );
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(missing.map(({name}) => name)).toEqual(['the expression of the generated column g of public.t']);
});

test('rows come back whose generated column meets a domain within, an operator, or is inherited', async () => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE OPERATOR @@@ (RIGHTARG = int, FUNCTION = f);
     CREATE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
     CREATE DOMAIN d AS int CHECK (ok(value));
     CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS ((id::d)::int + 1) STORED);
     INSERT INTO t VALUES (1), (5);
     CREATE TABLE a (id int, g int GENERATED ALWAYS AS (@@@ id) STORED); CREATE TABLE b () INHERITS (a);
     INSERT INTO a VALUES (2); INSERT INTO b VALUES (1), (2); ${refusing}
     CREATE OR REPLACE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 3'`,
    ['public.a', 'public.b', 'public.t'],
  );
  for (const rows of ['t', '(SELECT id FROM ONLY a)', '(SELECT id FROM b)']) {
    expect(await target.rows(rows)).toEqual(await database.rows(rows));
  }
  expect(missing.map(({name}) => name)).toEqual([
    'the values of the generated column g of public.a, and of tables that inherit from it',
  ]);
});

test.each([15, 18] as const)('increments of a table with a generated primary key come back (%i)', async (version) => {
  const {database, target} = await filledAndEmpty(
    clusters[version](),
    `CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED PRIMARY KEY, v text);
     INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
  );
  const owner = 'c';
  const full = await takeFull(database.source, {tables: ['public.t'], track: {owner}});
  await database.exec(`DELETE FROM t WHERE id = 1; UPDATE t SET v = 'new' WHERE id = 2;
    UPDATE t SET id = 9 WHERE id = 3; INSERT INTO t (id, v) VALUES (4, 'd')`);
  await restore(target.source, await takeIncrement(database.source, owner, full));
  expect(await target.rows('t')).toEqual(await database.rows('t'));
});
