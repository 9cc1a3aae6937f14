import {expect, test} from 'vitest';
import type {Staging} from '../../../src/sources/index.ts';
import {type Backup, fillStaging, restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';
import {statementsOf} from './dumped.ts';

// Functions look at other tables by their names, of which the server knows nothing. What calls them comes back with
// the same restore, when all tables have their names and rows.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};

async function filled(version: keyof typeof clusters, sql: string) {
  const cluster = clusters[version]();
  const {database, target} = await filledAndEmpty(cluster, sql);
  const tables = (await database.source.describe('all')).map(({name}) => name);
  return {cluster, database, target, tables};
}

/** `z` sorts behind the tables that look at it. */
const z = `CREATE TABLE z (id int PRIMARY KEY, v text); INSERT INTO z VALUES (1, 'a'), (2, 'b');
  CREATE FUNCTION known(int) RETURNS bool STABLE LANGUAGE plpgsql AS
    'BEGIN RETURN EXISTS (SELECT FROM public.z WHERE id = $1); END';
  CREATE FUNCTION label(int) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT v FROM public.z WHERE id = $1';
  CREATE FUNCTION careful(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT v FROM public.z WHERE id = $1); EXCEPTION WHEN OTHERS THEN RETURN ''none''; END';
  CREATE FUNCTION built(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    'DECLARE r text; BEGIN EXECUTE ''SELECT v FROM public.'' || chr(122) || '' WHERE id = $1'' INTO r USING $1;
      RETURN r; END';`;

const cases: readonly (readonly [string, string])[] = [
  ['a check', 'CREATE TABLE u (id int PRIMARY KEY, c int CHECK (known(c))); INSERT INTO u VALUES (1, 1)'],
  ['a check that is not valid', 'CREATE TABLE u (id int); ALTER TABLE u ADD CHECK (known(id)) NOT VALID'],
  ['an index', 'CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2); CREATE INDEX i ON u (label(id))'],
  [
    'a unique index with a comment',
    `CREATE TABLE u (id int); INSERT INTO u VALUES (1), (2); CREATE UNIQUE INDEX i ON u (careful(id));
     COMMENT ON INDEX i IS 'of u'`,
  ],
  ['a condition of an index', 'CREATE TABLE u (id int); CREATE INDEX i ON u (id) WHERE built(id) IS NOT NULL'],
  [
    'a domain',
    `CREATE DOMAIN d AS numeric(9, 2) CHECK (known(value::int)); CREATE DOMAIN e AS d;
     CREATE TYPE pair AS (a d, b e);
     CREATE TABLE u (id d PRIMARY KEY, c e, l d[], p pair); INSERT INTO u VALUES (1, 2, '{1,2}', '(1,2)')`,
  ],
  [
    'a generated column',
    `CREATE TABLE u (id int PRIMARY KEY, g text GENERATED ALWAYS AS (careful(id)) STORED, x int);
     INSERT INTO u VALUES (1), (2); CREATE INDEX i ON u (g)`,
  ],
  [
    'generated columns of generated columns',
    `CREATE TABLE m (id int PRIMARY KEY, g text GENERATED ALWAYS AS (label(id)) STORED); INSERT INTO m VALUES (1);
     CREATE FUNCTION of_m(int) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT g FROM public.m WHERE id = $1';
     CREATE TABLE l (id int PRIMARY KEY, g text GENERATED ALWAYS AS (of_m(id)) STORED); INSERT INTO l VALUES (1)`,
  ],
  [
    'the key of partitions',
    `CREATE TABLE u (id int) PARTITION BY LIST (label(id)); CREATE TABLE u1 PARTITION OF u FOR VALUES IN ('a');
     CREATE TABLE u2 PARTITION OF u DEFAULT; INSERT INTO u VALUES (1), (2)`,
  ],
  [
    'checks and indexes of partitions',
    `CREATE TABLE u (id int CHECK (known(id))) PARTITION BY RANGE (id);
     CREATE TABLE u1 PARTITION OF u (CHECK (label(id) <> 'x')) FOR VALUES FROM (0) TO (2);
     CREATE TABLE u2 PARTITION OF u DEFAULT; CREATE INDEX i ON u (label(id)); INSERT INTO u VALUES (1), (2)`,
  ],
  [
    'checks of children',
    `CREATE TABLE u (id int, CONSTRAINT k CHECK (known(id))); INSERT INTO u VALUES (1);
     CREATE TABLE w (o int) INHERITS (u); INSERT INTO w VALUES (2, 3);
     CREATE TABLE x (id int, CONSTRAINT k CHECK (known(id))) INHERITS (u)`,
  ],
  [
    'an exclusion constraint',
    'CREATE TABLE u (id int, EXCLUDE USING hash (label(id) WITH =)); INSERT INTO u VALUES (1), (2)',
  ],
  [
    'statistics',
    `CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1), (2);
     CREATE STATISTICS s ON label(id), id FROM u`,
  ],
  [
    'a circle',
    `CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);
     CREATE FUNCTION in_u(int) RETURNS bool STABLE LANGUAGE plpgsql AS
       'BEGIN RETURN EXISTS (SELECT FROM public.u WHERE id = $1); END';
     ALTER TABLE u ADD CHECK (known(id)); DELETE FROM z WHERE id = 2; ALTER TABLE z ADD CHECK (in_u(id))`,
  ],
  [
    'a function that calls such a one',
    `CREATE FUNCTION calls(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN public.known($1); END';
     CREATE TABLE u (id int CHECK (calls(id))); INSERT INTO u VALUES (1)`,
  ],
  [
    'names without schemas',
    `CREATE FUNCTION short(int) RETURNS bool LANGUAGE plpgsql AS
       'BEGIN RETURN EXISTS (SELECT FROM z WHERE id = $1) AND known($1); END';
     CREATE TABLE u (id int CHECK (short(id))); INSERT INTO u VALUES (1)`,
  ],
  [
    'the operator of a user',
    `CREATE OPERATOR @@@ (FUNCTION = known, RIGHTARG = int); CREATE TABLE u (id int CHECK (@@@ id));
     INSERT INTO u VALUES (1)`,
  ],
  [
    'a view',
    `CREATE VIEW v AS SELECT id FROM z; CREATE TABLE u (id int);
     CREATE FUNCTION in_v(int) RETURNS bool STABLE LANGUAGE plpgsql AS
       'BEGIN RETURN EXISTS (SELECT FROM public.v WHERE id = $1); END';
     INSERT INTO u VALUES (1); ALTER TABLE u ADD CHECK (in_v(id)), ADD CHECK (id > 0)`,
  ],
];

for (const version of [15, 18] as const) {
  test.each(cases)(`${version}: %s that looks at another table comes back with it`, async (_, sql) => {
    const {cluster, database, target, tables} = await filled(version, z + sql);
    const said: string[] = [];
    const notice = (text: string) => said.push(text);
    const backup = await takeFull(database.source, {tables, objects: true, notice});
    const {schemas, objects = [], database: facts} = backup;
    const incoming = {schemas, stored: schemas, objects, database: facts, bytes: 0};
    expect((await target.source.survey(incoming, {rehearse: true})).obstacle).toBeUndefined();
    const staging = await fillStaging(target.source, backup, 'one', notice);
    await staging.publish({notice});
    await staging.discard();
    expect(said).toEqual([]);
    expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
    for (const name of tables) expect(await target.rows(name)).toEqual(await database.rows(name));
    // Indexes have what a scan of the table finds.
    for (const name of tables) {
      for (const call of ['label(id::int)', 'careful(id::int)']) {
        const found = `(SELECT id FROM ${name} WHERE ${call} = 'a')`;
        const rows = await target.rows(found);
        await target.exec('SET enable_seqscan = off');
        expect(await target.rows(found)).toEqual(rows);
        await target.exec('SET enable_seqscan = on');
      }
    }
  });
}

const some = `${z} CREATE TABLE u (id int PRIMARY KEY CHECK (known(id))); INSERT INTO u VALUES (1), (2);
  CREATE UNIQUE INDEX i ON u (label(id)); COMMENT ON INDEX i IS 'of u'`;

test('beside the original, it has a name of its own', async () => {
  const {database, tables} = await filled(18, some);
  const backup = await takeFull(database.source, {tables});
  const schemas = backup.schemas.filter(({name}) => name === 'public.u');
  const wanted = [{name: 'public.u', as: 'public.copy'}];
  const choice = await database.source.choose!({schemas, objects: []}, wanted, undefined);
  const published = new Map(choice.tables.map(({name, as}) => [name, as!]));
  const layers = {'public.u': backup.layers['public.u']!};
  const contents = new Map([...backup.contents].filter(([name]) => name === 'public.u'));
  await restore(database.source, {...backup, schemas, layers, contents, published} as Backup);
  expect(await database.rows('copy')).toEqual(await database.rows('u'));
  expect(await database.rows("(SELECT indexdef FROM pg_indexes WHERE tablename = 'copy')")).toEqual([
    '("CREATE UNIQUE INDEX copy_i ON public.copy USING btree (label(id))")',
    '("CREATE UNIQUE INDEX copy_pkey ON public.copy USING btree (id)")',
  ]);
  expect(
    await database.rows("(SELECT conname FROM pg_constraint WHERE conrelid = 'copy'::regclass AND contype = 'c')"),
  ).toEqual(['(u_id_check)']);
  expect(await database.rows("(SELECT obj_description('copy_i'::regclass))")).toEqual(['("of u")']);
});

test('a restore that is continued knows it too', async () => {
  const {cluster, database, target, tables} = await filled(18, `${some}; CREATE TABLE other (id int)`);
  const backup = await takeFull(database.source, {tables, objects: true});
  const {schemas, objects, database: facts, layers} = backup;
  const stage = (id: string) =>
    target.source.stage(schemas, {id, database: facts, objects: objects!, bases: new Map(), plan: 'the same'});
  const load = async (staging: Staging, name: string) => {
    const [base] = layers[name]!;
    if (base?.kind !== 'base' || base.form === 'records') throw new Error('not rows');
    for (const {bytes} of base.segments) await staging.load(name, bytes);
    await staging.complete!(name, new AbortController().signal);
  };
  const first = await stage('first');
  await load(first, 'public.u');
  expect(await first.leave!()).toBe(true);
  const second = await stage('second');
  expect([...second.completed!()]).toEqual(['public.u']);
  await load(second, 'public.z');
  await second.finish({check: 'quick'});
  await second.publish({});
  await second.discard();
  expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
  expect(await target.rows('u')).toEqual(await database.rows('u'));
});

test('without the table that a function looks at, nothing is restored, and the step that is named works', async () => {
  const {database, target, tables} = await filled(18, some);
  const said: string[] = [];
  const backup = await takeFull(database.source, {tables: ['public.u'], notice: (text) => said.push(text)});
  expect(said.join()).toContain('public.u calls public.known(integer), which mentions public.z');
  const refused = await restore(target.source, backup).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringMatching(/^public\.u cannot have its (?:u_id_check|i): .*"public\.z" does not exist/u),
    next: expect.stringContaining('RESTORE … TABLE a, TABLE b'),
  });
  expect(await target.source.describe('all')).toEqual([]);
  await restore(target.source, await takeFull(database.source, {tables}));
  expect(await target.rows('u')).toEqual(await database.rows('u'));
});
