import {expect, test} from 'vitest';
import {fillStaging, merge, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest, filledAndEmpty} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {statementsOf} from './dumped.ts';

// Functions and types that need a table, and are needed by tables themselves.

const cluster = clusterOfFile(18);
const create = "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')";
const atomic = `CREATE TABLE idx (b int PRIMARY KEY); INSERT INTO idx VALUES (1);
  CREATE FUNCTION atom(x int) RETURNS bool STABLE
  BEGIN ATOMIC SELECT EXISTS (SELECT FROM public.idx WHERE b = x); END;`;
const row = `CREATE TABLE idx (b int PRIMARY KEY);
  CREATE FUNCTION of_row(i idx) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';`;

const types = `CREATE TABLE x (i int, t text); CREATE DOMAIN dx AS x CHECK ((value).i > 0);
  CREATE TYPE holder AS (a x, n int);`;

const cases: readonly (readonly [string, string])[] = [
  [
    'a policy',
    `${atomic} CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE u ENABLE ROW LEVEL SECURITY;
     CREATE POLICY p ON u USING (atom(id)); COMMENT ON FUNCTION atom(int) IS 'reads'`,
  ],
  [
    'a default',
    `${atomic} CREATE TABLE a (id int PRIMARY KEY, d bool DEFAULT public.atom(1)); INSERT INTO a VALUES (1)`,
  ],
  [
    'a check that finds rows',
    `${atomic} CREATE TABLE a (id int PRIMARY KEY, CHECK (atom(id))); INSERT INTO a VALUES (1);
     GRANT EXECUTE ON FUNCTION atom(int) TO CURRENT_USER; REVOKE EXECUTE ON FUNCTION atom(int) FROM public`,
  ],
  ['a check', `${row} CREATE TABLE a (id int PRIMARY KEY, CHECK (of_row(ROW(1)::idx) = 1)); INSERT INTO a VALUES (1)`],
  [
    'a generated column and an index',
    `${row} ALTER FUNCTION of_row OWNER TO CURRENT_USER;
     CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (of_row(ROW(1)::idx) + id) STORED);
     INSERT INTO a VALUES (1), (2); CREATE INDEX i ON a ((of_row(ROW(id)::idx)))`,
  ],
  [
    'types',
    `${types} CREATE TABLE a (id int PRIMARY KEY, d dx, h holder, l x[]);
     INSERT INTO a VALUES (1, ROW (1, 'a'), ROW (ROW (2, 'b'), 3), ARRAY[ROW (4, 'c')::x])`,
  ],
  [
    'a cast and an operator',
    `${row} CREATE CAST (idx AS int) WITH FUNCTION of_row(idx);
     CREATE OPERATOR ~~~ (FUNCTION = of_row, RIGHTARG = idx);
     CREATE TABLE a (id int, CHECK ((ROW(id)::idx)::int = 1), CHECK (~~~ ROW(id)::idx = 1)); INSERT INTO a VALUES (3)`,
  ],
];

test.each(cases)('%s that needs what needs a table comes back with it', async (_, sql) => {
  const {database, target} = await filledAndEmpty(cluster(), sql);
  const tables = (await database.source.describe('all')).map(({name}) => name);
  for (const objects of [true, false]) {
    const said: string[] = [];
    const notice = (text: string) => said.push(text);
    const there = objects ? target : await cluster().create();
    const staging = await fillStaging(there.source, await takeFull(database.source, {tables, objects, notice}));
    await staging.publish({notice});
    await staging.discard();
    expect(said).toEqual([]);
    expect(statementsOf(cluster(), there.name)).toEqual(statementsOf(cluster(), database.name));
    for (const name of tables) expect(await there.rows(name)).toEqual(await database.rows(name));
    if (!objects) await there.close();
  }
  // Into the living tables.
  const rows = await database.rows('idx').catch(() => []);
  await merge(database.source, await takeFull(database.source, {tables}), 'replace');
  expect(await database.rows('idx').catch(() => [])).toEqual(rows);
});

test('a restore that fails leaves nothing of it', async () => {
  const [database, target] = [await cluster().create(), await cluster().create()];
  const empty = statementsOf(cluster(), target.name);
  await database.exec(`${atomic} ${row.replaceAll('idx', 'idy')}
    CREATE TABLE a (id int PRIMARY KEY, CHECK (atom(id)), CHECK (of_row(ROW(1)::idy) = 1)); INSERT INTO a VALUES (1)`);
  const tables = (await database.source.describe('all')).map(({name}) => name);
  const backup = await takeFull(database.source, {tables, objects: true});
  await (await fillStaging(target.source, backup)).discard();
  expect(statementsOf(cluster(), target.name)).toEqual(empty);
  await database.close();
  await target.close();
});

test('a table without what it needs is refused before it is created, and the step that is named works', async () => {
  const [database, target] = [await cluster().create(), await cluster().create()];
  await database.exec(`CREATE TABLE addr (street text); CREATE TABLE cust (id int PRIMARY KEY, a addr);
    INSERT INTO cust VALUES (1, ROW ('x')); ${atomic} CREATE TABLE u (id int PRIMARY KEY DEFAULT atom(1)::int)`);
  const {done, desk} = openPostgresDesk(cluster(), database.name);
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  const there = ['--source', addressOf(cluster(), target.name)] as const;
  for (const [table, needed] of [
    ['cust', 'addr'],
    ['u', 'idx'],
  ] as const) {
    for (const dry of [true, false]) {
      const {status, stdout, stderr} = await desk.bkp(
        ...there,
        ...(dry ? ['sql'] : ['sql', '--wait']),
        `RESTORE c TABLE ${table}${dry ? " WITH (DRY_RUN='true')" : ''}`,
      );
      expect(stdout + stderr, String(status)).toContain(`table public.${table} needs the table public.${needed}`);
    }
    await done(...there, 'sql', '--wait', `RESTORE c TABLE public.${table}, TABLE public.${needed}`);
    expect(await target.rows(table)).toEqual(await database.rows(table));
  }
  await database.close();
  await target.close();
});

test('functions that need a table, and that only views need, come back with the views', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  await database.exec(`CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1), (2);
    CREATE FUNCTION zz(z) RETURNS int LANGUAGE sql AS 'SELECT $1.id * 2';
    COMMENT ON FUNCTION zz(z) IS 'a computed field'; GRANT EXECUTE ON FUNCTION zz(z) TO CURRENT_USER;
    CREATE VIEW computed AS SELECT zz(z) FROM z;
    CREATE FUNCTION all_z() RETURNS SETOF z LANGUAGE sql AS 'SELECT * FROM public.z';
    CREATE VIEW every AS SELECT * FROM all_z()`);
  const {done, desk} = openPostgresDesk(cluster(), database.name);
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  const there = openPostgresDesk(cluster(), target.name);
  await there.done('--cluster', `${desk.folder}/cluster`, 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('computed')).toEqual(await database.rows('computed'));
  expect(await target.rows('every')).toEqual(await database.rows('every'));
  expect(await target.rows("(SELECT obj_description('zz(z)'::regprocedure))")).toEqual(
    await database.rows("(SELECT obj_description('zz(z)'::regprocedure))"),
  );
  await database.close();
  await target.close();
});

const rowTypes = `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x'), (2, 'y');
  CREATE TABLE b (id int PRIMARY KEY, r a, l a[]);
  INSERT INTO b VALUES (1, '(1,one)', ARRAY[ROW (2, 'two')::a]), (2, NULL, NULL);
  CREATE TABLE c (id int PRIMARY KEY, r b, a a DEFAULT ROW (0, 'd')::a); INSERT INTO c SELECT id, b FROM b;`;
const ofRowTypes = ['public.a', 'public.b', 'public.c'];

test.each(['merge', 'replace'] as const)('%s brings values of the row types of other tables back', async (mode) => {
  const {database, target} = await filledAndEmpty(cluster(), rowTypes);
  const {source} = database;
  const full = await takeFull(source, {tables: ofRowTypes, track: {owner: 'c'}});
  await database.exec("UPDATE b SET r = '(5,five)' WHERE id = 2; UPDATE a SET v = 'z' WHERE id = 2");
  const backup = await takeIncrement(source, 'c', full);
  const before = await Promise.all(ofRowTypes.map((name) => database.rows(name)));
  await database.exec(`UPDATE b SET r = '(7,other)'; DELETE FROM c WHERE id = 1; UPDATE c SET a = NULL;
    UPDATE a SET v = 'other'`);
  for (const dryRun of [true, false]) {
    expect(await merge(source, backup, mode, {dryRun})).toMatchObject([
      {name: 'public.a', inserted: 0, updated: 2},
      {name: 'public.b', inserted: 0, updated: 2},
      {name: 'public.c', inserted: 1, updated: 1},
    ]);
  }
  expect(await Promise.all(ofRowTypes.map((name) => database.rows(name)))).toEqual(before);
  await restore(target.source, backup);
  expect(await Promise.all(ofRowTypes.map((name) => target.rows(name)))).toEqual(before);
});

test('MODE refuses values of a row type that has other columns now, and changes nothing', async () => {
  const database = await databaseOfTest(
    cluster(),
    `CREATE TABLE a (x int, y int); CREATE TABLE t (id int PRIMARY KEY, r a); INSERT INTO t VALUES (1, '(1,2)')`,
  );
  const backup = await takeFull(database.source, {tables: ['public.a', 'public.t']});
  await database.exec(`DROP TABLE t; DROP TABLE a; CREATE TABLE a (y int, x int);
    CREATE TABLE t (id int PRIMARY KEY, r a); INSERT INTO t VALUES (2, '(3,4)')`);
  await expect(merge(database.source, backup, 'replace')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('do not fit into public.a'),
    details: [
      'its columns are (y integer, x integer), and were (x integer, y integer) in the backup: ' +
        'public.t may have values of its row type',
    ],
  });
  expect(await database.rows('t')).toEqual(['(2,"(3,4)")']);
  await database.exec('DROP TABLE t; DROP TABLE a; CREATE TABLE t (id int PRIMARY KEY)');
  await expect(merge(database.source, backup, 'replace')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('rows of public.t need the table public.a, which is not in'),
    next: expect.stringContaining('TABLE public.t AS …, TABLE public.a AS …'),
  });
});
