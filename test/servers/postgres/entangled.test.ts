import {expect, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';

// Functions that need a table, and are needed themselves. A backup that no statement could restore is refused.

const cluster = clusterOfFile(18);
const create = "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')";
const atomic = `CREATE TABLE idx (b int PRIMARY KEY); INSERT INTO idx VALUES (1);
  CREATE FUNCTION atom(x int) RETURNS bool STABLE
  BEGIN ATOMIC SELECT EXISTS (SELECT FROM public.idx WHERE b = x); END;`;
const row = `CREATE TABLE idx (b int PRIMARY KEY);
  CREATE FUNCTION of_row(i idx) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';`;

test.each([
  [
    'a policy',
    `${atomic} CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE u ENABLE ROW LEVEL SECURITY;
     CREATE POLICY p ON u USING (atom(id))`,
  ],
  ['a default', `${atomic} CREATE TABLE u (id int PRIMARY KEY, d bool DEFAULT public.atom(1))`],
  ['a check', `${row} CREATE TABLE u (id int PRIMARY KEY, CHECK (of_row(ROW(1)::idx) = 1))`],
])('a backup is refused if %s needs a function that needs a table', async (_, schema) => {
  const database = await cluster().create();
  await database.exec(schema);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', create);
  const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(status, stderr).not.toBe(0);
  expect(stderr).toMatch(/public\.u\S*.* needs the function public\.(atom|of_row)/);
  await done('sql', 'DROP BACKUP COLLECTION c');
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE EXCEPT (TABLE u) WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  await database.close();
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
