import {expect, onTestFinished, test} from 'vitest';
import {type Backup, fillStaging, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';
import {retried} from './increments.ts';

// A chain begins with rows that a younger definition forbids: somebody changed or deleted them, and then added a check
// or took a partition away. And rows can be there that their own check no longer holds for.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const owner = 'collection-1';

async function filled(version: keyof typeof clusters, tracking: 'triggers' | 'scan', sql: string) {
  const {database, target} = await filledAndEmpty(clusters[version](), sql);
  const source = database.with({tracking});
  onTestFinished(() => source.close());
  return {database, target, source};
}

const t = `CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i - 3 FROM generate_series(1, 100) i;`;
const clean = 'DELETE FROM t WHERE v < 0; UPDATE t SET v = 7 WHERE v = 0;';

const cases: readonly (readonly [what: string, before: string, after: string])[] = [
  ['a check', t, `${clean} ALTER TABLE t ADD CONSTRAINT k CHECK (v > 0)`],
  [
    'a check of a domain',
    `CREATE DOMAIN d AS int; ${t}
     ALTER TABLE t ALTER v TYPE d`,
    'DELETE FROM t WHERE v < 1; ALTER DOMAIN d ADD CHECK (value > 0)',
  ],
  [
    'a domain that is not null',
    `CREATE DOMAIN d AS int; ${t} ALTER TABLE t ALTER v TYPE d; UPDATE t SET v = NULL WHERE id = 4`,
    'DELETE FROM t WHERE id = 4; ALTER DOMAIN d SET NOT NULL',
  ],
  [
    'a partition less',
    `CREATE TABLE t (id int, v int, PRIMARY KEY (id, v)) PARTITION BY RANGE (v);
     CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
     CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY LIST (v);
     CREATE TABLE t2a PARTITION OF t2 FOR VALUES IN (10, 11, 12);
     CREATE TABLE t2b PARTITION OF t2 FOR VALUES IN (13, 14);
     INSERT INTO t SELECT i, i % 15 FROM generate_series(1, 60) i`,
    'ALTER TABLE t DETACH PARTITION t1; DROP TABLE t2b',
  ],
  [
    'a check of a partition',
    `CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
     CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50);
     CREATE TABLE t2 PARTITION OF t DEFAULT; INSERT INTO t SELECT i, i - 3 FROM generate_series(1, 100) i`,
    `${clean} ALTER TABLE t1 ADD CHECK (v > 0)`,
  ],
  [
    'a partition of a hash less',
    `CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY HASH (id);
     CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY HASH (id);
     CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     CREATE TABLE t2 PARTITION OF t0 FOR VALUES WITH (MODULUS 4, REMAINDER 0);
     CREATE TABLE t3 PARTITION OF t0 FOR VALUES WITH (MODULUS 4, REMAINDER 2);
     INSERT INTO t SELECT i, i FROM generate_series(1, 100) i`,
    'ALTER TABLE t0 DETACH PARTITION t2; DROP TABLE t2',
  ],
  [
    'a column of a partition that is not null',
    `CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
     CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50);
     CREATE TABLE t2 PARTITION OF t DEFAULT; INSERT INTO t SELECT i, nullif(i, 3) FROM generate_series(1, 100) i`,
    'DELETE FROM t WHERE v IS NULL; ALTER TABLE t1 ALTER v SET NOT NULL',
  ],
];

const added: readonly (readonly [what: string, before: string, after: string])[] = [
  [
    'a NOT NULL that became valid',
    `${t} UPDATE t SET v = NULL WHERE id = 4; ALTER TABLE t ADD CONSTRAINT k NOT NULL v NOT VALID`,
    'DELETE FROM t WHERE id = 4; ALTER TABLE t VALIDATE CONSTRAINT k',
  ],
  [
    'another expression of a generated column',
    `${t} ALTER TABLE t ADD g int GENERATED ALWAYS AS (v + 1) STORED`,
    'DELETE FROM t WHERE v = 0; ALTER TABLE t ALTER g SET EXPRESSION AS (100 / v)',
  ],
  [
    'another expression of a generated column of a partition',
    `CREATE TABLE t (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v + 1) STORED) PARTITION BY RANGE (id);
     CREATE TABLE t1 (id int NOT NULL, v int, g int GENERATED ALWAYS AS (v + 1) STORED);
     ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (500);
     INSERT INTO t SELECT i, i - 3 FROM generate_series(1, 100) i`,
    `ALTER TABLE t DETACH PARTITION t1; DELETE FROM t1 WHERE v = 0; ALTER TABLE t1 DROP g;
     ALTER TABLE t1 ADD g int GENERATED ALWAYS AS (100 / v) STORED;
     ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (500)`,
  ],
];

for (const version of [15, 18] as const) {
  for (const tracking of ['triggers', 'scan'] as const) {
    test.each(version === 18 ? [...cases, ...added] : cases)(
      `version ${version}, ${tracking}: a chain comes back with %s`,
      async (_what, before, after) => {
        const {database, target, source} = await filled(version, tracking, before);
        const tables = (await source.describe('all')).map(({name}) => name);
        const full: Backup = await retried(() => takeFull(source, {tables, track: {owner}}));
        await database.exec(after);
        const increment = await retried(() => takeIncrement(source, owner, full));
        await restore(target.source, increment);
        for (const name of tables) expect(await target.rows(name)).toEqual(await database.rows(name));
        const constraints = `(SELECT conrelid::regclass::text, conname, convalidated, conislocal, coninhcount,
        pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
          AND conrelid::regclass::text ~ '^[tu]')`;
        const ofTables = (rows: readonly unknown[]) => rows.filter((row) => !String(row).startsWith('(t1,'));
        const isLess = tables.includes('public.t') && after.includes('DETACH');
        const own = await database.rows(constraints);
        expect(await target.rows(constraints)).toEqual(isLess ? ofTables(own) : own);
      },
    );
  }
}

test('rows that break their own checks come back, and the checks hold for new rows and are named', async () => {
  const {database, target, source} = await filled(
    18,
    'triggers',
    `CREATE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
     CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1);
     CREATE FUNCTION known(int) RETURNS bool STABLE LANGUAGE plpgsql AS
       'BEGIN RETURN EXISTS (SELECT FROM public.z WHERE id = $1); END';
     CREATE TABLE t (id int PRIMARY KEY, CONSTRAINT k1 CHECK (big(id)), CONSTRAINT k2 CHECK (known(id)),
       CONSTRAINT k3 CHECK (id > 0)) PARTITION BY RANGE (id);
     CREATE TABLE "T 1" PARTITION OF t FOR VALUES FROM (1) TO (5); INSERT INTO t VALUES (1);
     CREATE OR REPLACE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 5'; DELETE FROM z`,
  );
  const full = await takeFull(source, {tables: ['public.t', 'public.z']});
  const notices: string[] = [];
  const staging = await fillStaging(target.source, full);
  await staging.publish({notice: (text) => notices.push(text)});
  await staging.discard();
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  const valid = "(SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c' AND convalidated)";
  expect(await target.rows(valid)).toEqual(['(k3)']);
  expect(notices.toSorted()).toEqual([
    expect.stringMatching(
      /^a check of public\.t is not valid for all rows: .*"k1".*VALIDATE CONSTRAINT "?k1"?; tries again$/u,
    ),
    expect.stringMatching(
      /^a check of public\.t is not valid for all rows: .*"k2".*VALIDATE CONSTRAINT "?k2"?; tries again$/u,
    ),
  ]);
  await expect(target.exec('INSERT INTO t VALUES (2)')).rejects.toThrow('violates check constraint');
  for (const text of notices) {
    await expect(target.exec(/; (ALTER TABLE .*;) tries again$/u.exec(text)![1]!)).rejects.toThrow('violated');
  }
  await target.exec(
    `INSERT INTO z VALUES (1);
     CREATE OR REPLACE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true'`,
  );
  for (const text of notices) await target.exec(/; (ALTER TABLE .*;) tries again$/u.exec(text)![1]!);
});

test('rows that break checks of their domains come back, and the checks hold for new values', async () => {
  const {database, target, source} = await filled(
    18,
    'triggers',
    `CREATE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
     CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1), (7);
     CREATE FUNCTION known(int) RETURNS bool STABLE LANGUAGE plpgsql AS
       'BEGIN RETURN EXISTS (SELECT FROM public.z WHERE id = $1); END';
     CREATE DOMAIN "D" AS int CONSTRAINT k1 CHECK (big(value)) CONSTRAINT t_pkey CHECK (value > 0);
     CREATE DOMAIN d2 AS "D" CONSTRAINT k2 CHECK (known(value));
     COMMENT ON CONSTRAINT k1 ON DOMAIN "D" IS 'it''s big'; COMMENT ON CONSTRAINT k2 ON DOMAIN d2 IS 'in public.z';
     CREATE TABLE t (id "D" PRIMARY KEY, v d2) PARTITION BY RANGE (id);
     CREATE TABLE t1 PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, 1), (2, 7);
     CREATE TABLE u (id int PRIMARY KEY, v "D", r regclass); INSERT INTO u VALUES (1, 4, 'z');
     CREATE OR REPLACE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 3';
     DELETE FROM z WHERE id = 1`,
  );
  const full = await takeFull(source, {tables: ['public.t', 'public.u', 'public.z']});
  const notices: string[] = [];
  const staging = await fillStaging(target.source, full);
  await staging.publish({notice: (text) => notices.push(text)});
  await staging.discard();
  for (const table of ['t', 'u', 'z']) expect(await target.rows(table)).toEqual(await database.rows(table));
  const checks = (isValid: string) =>
    `(SELECT conname FROM pg_constraint
      WHERE contypid IN ('"D"'::regtype, 'd2'::regtype) AND contype = 'c' ${isValid})`;
  expect(await target.rows(checks(''))).toEqual(['(k1)', '(k2)', '(t_pkey)']);
  const comments = `(SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint
    WHERE conname ~ '^k[12]')`;
  expect(await target.rows(comments)).toEqual(await database.rows(comments));
  expect(await target.rows(checks('AND convalidated'))).toEqual(['(t_pkey)']);
  expect(notices.toSorted()).toEqual([
    expect.stringMatching(/^a check of the domain "public"\."D" is not valid for all rows: .*"?k1"?; tries again$/u),
    expect.stringMatching(/^a check of the domain "public"\."d2" is not valid for all rows: .*"?k2"?; tries again$/u),
  ]);
  await expect(target.exec('INSERT INTO u VALUES (2, 2)')).rejects.toThrow('k1');
  await expect(target.exec('INSERT INTO t VALUES (9, 9)')).rejects.toThrow('k2');
  const statements = notices.map((text) => /; (ALTER DOMAIN .*;) tries again$/u.exec(text)![1]!);
  for (const sql of statements) await expect(target.exec(sql)).rejects.toThrow('violate');
  await target.exec(
    `INSERT INTO z VALUES (1);
     CREATE OR REPLACE FUNCTION big(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true'`,
  );
  for (const sql of statements) await target.exec(sql);
});

test('checks of domains that the server cannot add to filled tables are there from the start', async () => {
  const {database, target, source} = await filled(
    18,
    'triggers',
    `CREATE DOMAIN d AS int CONSTRAINT k CHECK (value > 0); CREATE TYPE pair AS (a d, b int);
     CREATE TABLE t (id d PRIMARY KEY, v d[]); INSERT INTO t VALUES (1, '{1, 2}');
     CREATE TABLE u (id int PRIMARY KEY, v pair); INSERT INTO u VALUES (1, '(1,2)')`,
  );
  await restore(target.source, await takeFull(source, {tables: ['public.t', 'public.u']}));
  for (const table of ['t', 'u']) expect(await target.rows(table)).toEqual(await database.rows(table));
  const valid = "(SELECT conname FROM pg_constraint WHERE contypid = 'd'::regtype AND contype = 'c' AND convalidated)";
  expect(await target.rows(valid)).toEqual(['(k)']);
});
