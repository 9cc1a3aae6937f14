import {expect, test} from 'vitest';
import {fillStaging, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

// Each value comes back in its column, whatever the order in which the statements of the backup create the columns.

const versions = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const owner = 'c';

/** Columns of parents come first when a child is created; here they joined after the child had its own. */
const inherited = `CREATE TABLE p (id int PRIMARY KEY, a text);
  CREATE TABLE q (b text, id int PRIMARY KEY);
  CREATE TABLE t (own text, PRIMARY KEY (id)) INHERITS (p);
  ALTER TABLE p ADD late text; ALTER TABLE p ADD shown regclass;
  ALTER TABLE t ADD b text; ALTER TABLE t INHERIT q; ALTER TABLE q ADD later text;
  INSERT INTO t (id, a, own, late, shown, b, later)
    SELECT g, 'a' || g, 'own' || g, 'late' || g, 'p', 'b' || g, 'later' || g FROM generate_series(1, 9) g`;
const tables = ['public.p', 'public.q', 'public.t'];
const values = (name: string) => `(SELECT to_jsonb(t) FROM ONLY ${name} t ORDER BY to_jsonb(t))`;

test.for([15, 18] as const)(
  'columns that joined a parent later keep their values, by a full backup and by increments (%i)',
  async (version) => {
    const source = await databaseOfTest(versions[version](), inherited);
    const full = await takeFull(source.source, {tables, track: {owner}});
    await source.source.acknowledge(owner, full.mark!);
    await source.exec("UPDATE t SET own = 'new' WHERE id < 3; DELETE FROM t WHERE id = 9");
    const increment = await takeIncrement(source.source, owner, full);
    const target = await databaseOfTest(versions[version](), 'SELECT 1');
    await restore(target.source, increment);
    for (const name of tables) expect(await target.rows(values(name))).toEqual(await source.rows(values(name)));
  },
);

test.for([15, 18] as const)('values of regclass that name nothing come back (%i)', async (version) => {
  const sql = `CREATE DOMAIN named AS regclass; CREATE TABLE gone ();
    CREATE TABLE t (id int PRIMARY KEY, v regclass, d named, w regclass[], x regtype);
    CREATE TABLE k (v regclass PRIMARY KEY);
    INSERT INTO t VALUES (1, 0, 0, '{0}', 0), (2, 'gone', 'gone', '{gone,t}', 'int'), (3, 't', 't', NULL, NULL);
    INSERT INTO k VALUES (0), ('gone'), ('t');
    DROP TABLE gone`;
  const source = await databaseOfTest(versions[version](), sql);
  const both = ['public.t', 'public.k'];
  const full = await takeFull(source.source, {tables: both});
  const target = await databaseOfTest(versions[version](), 'SELECT 1');
  await restore(target.source, full);
  for (const name of both) expect(await target.rows(values(name))).toEqual(await source.rows(values(name)));
  expect(await target.rows('(SELECT v FROM k WHERE v = 0)')).toEqual(['(-)']);
});

test.for([15, 18] as const)(
  'rows whose foreign keys lead nowhere come back, and the keys are named (%i)',
  async (version) => {
    const sql = `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
    CREATE TABLE late (id int PRIMARY KEY, a int REFERENCES a, r regclass);
    CREATE TABLE p (id int PRIMARY KEY, a int REFERENCES a) PARTITION BY HASH (id);
    CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE TABLE good (id int PRIMARY KEY, a int REFERENCES a);
    INSERT INTO a VALUES (1); INSERT INTO good VALUES (1, 1);
    SET session_replication_role = replica;
    INSERT INTO b VALUES (1, 1), (2, 7); INSERT INTO late VALUES (1, 8, 'a'); INSERT INTO p VALUES (1, 9)`;
    const source = await databaseOfTest(versions[version](), sql);
    const all = ['a', 'b', 'good', 'late', 'p'].map((name) => `public.${name}`);
    const full = await takeFull(source.source, {tables: all});
    const target = await databaseOfTest(versions[version](), 'SELECT 1');
    const notices: string[] = [];
    const staging = await fillStaging(target.source, full);
    await staging.publish({notice: (text) => notices.push(text)});
    await staging.discard();
    for (const name of all) expect(await target.rows(values(name))).toEqual(await source.rows(values(name)));
    const text = notices.join('\n');
    for (const table of ['b', 'late']) {
      expect(text).toContain(`a foreign key of public.${table} is not valid for all rows: `);
      expect(text).toContain(`ALTER TABLE ONLY "public"."${table}" VALIDATE CONSTRAINT ${table}_a_fkey; tries again`);
    }
    expect(text).toContain(
      'left out of public.p: ALTER TABLE public.p ADD CONSTRAINT p_a_fkey FOREIGN KEY (a) REFERENCES',
    );
    expect(notices).toHaveLength(3);
    const keys = "(SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY 1)";
    expect(await target.rows(keys)).toEqual(['(b_a_fkey,f)', '(good_a_fkey,t)', '(late_a_fkey,f)']);
    await expect(target.exec('INSERT INTO b VALUES (3, 7)')).rejects.toThrow(/violates foreign key/u);
    await target.exec('INSERT INTO a VALUES (7); ALTER TABLE ONLY b VALIDATE CONSTRAINT b_a_fkey');
  },
);

test('names of NOT NULL that a child has for a column of its parent come back', async () => {
  const sql = `CREATE TABLE p (id int, "I d" int); CREATE TABLE "B b" (PRIMARY KEY (id, "I d")) INHERITS (p);
    ALTER TABLE "B b" RENAME TO t; ALTER TABLE t RENAME CONSTRAINT "B b_id_not_null" TO "Q""'uoted";
    INSERT INTO t VALUES (1, 2)`;
  const source = await databaseOfTest(versions[18](), sql);
  const full = await takeFull(source.source, {tables: ['public.p', 'public.t']});
  const target = await databaseOfTest(versions[18](), 'SELECT 1');
  await restore(target.source, full);
  const names = '(SELECT conrelid::regclass, conname FROM pg_constraint WHERE conrelid > 16383 ORDER BY 1, 2)';
  expect(await target.rows(names)).toEqual(await source.rows(names));
  expect(await target.rows(values('t'))).toEqual(await source.rows(values('t')));
});
