import {chmodSync, globSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();

/** What a collection of the whole database has beside tables, and no table needs. */
const unneeded = `
  CREATE SEQUENCE free;
  CREATE TYPE pair AS (a int, b int);
  CREATE TYPE mood AS ENUM ('good');
  CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
  CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
  COMMENT ON FUNCTION one() IS 'a number';
  REVOKE ALL ON FUNCTION one() FROM public;
  CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
  CREATE SCHEMA empty;
  CREATE COLLATION mine (locale = 'C');
  CREATE VIEW seen AS SELECT id FROM t;
  COMMENT ON VIEW seen IS 'its ids';
  ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public;
  ALTER DEFAULT PRIVILEGES FOR ROLE other_owner GRANT SELECT ON TABLES TO public`;

test('all tables of a database come into another schema, and what does not come is named', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE ROLE other_owner; CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t VALUES (1, 'a'); ${unneeded}`);
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  const told = [
    await done('sql', "RESTORE c INTO SCHEMA 'y' WITH (DRY_RUN='true')"),
    await done('sql', '--wait', "RESTORE c INTO SCHEMA 'y'"),
  ];
  expect(await database.rows('y.t')).toEqual(['(1,a)']);
  for (const text of told.map((one) => one.replaceAll(/\s+/gu, ' '))) {
    expect(text).toContain('the view public.seen is not restored into another schema');
    expect(text).toMatch(
      /what no table needs is not restored into another schema: [^;]*(?:TYPE|SCHEMA) .* and \d more/u,
    );
    expect(text).not.toContain('COMMENT');
  }
  await done('sql', '--wait', "RESTORE c TABLE t INTO SCHEMA 'z'");
  expect(await database.rows('z.t')).toEqual(['(1,a)']);
  await database.exec('DROP TYPE mood');
  await done('sql', '--wait', 'RESTORE c TABLE `TYPE public.mood`');
  expect(await database.rows('(SELECT enum_first(NULL::mood))')).toEqual(['(good)']);
});

test('a partial restore leaves out a damaged table, and brings what else the database has', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'); ${unneeded};
    CREATE TABLE large AS SELECT g AS id, md5(g::text) || md5((-g)::text) AS v FROM generate_series(1, 60000) g`);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  damageMiddle(largestOf(globSync(join(desk.cluster, 'packs/**/*')).filter((file) => statSync(file).isFile())));
  const partial = ['--source', addressOf(cluster(), target.name), 'sql', '--wait', "RESTORE c WITH (PARTIAL='true')"];
  const {status, stdout, stderr} = await desk.bkp(...partial);
  expect(`${stdout}${stderr}`).toContain('public.large is missing');
  expect(status, stderr).toBe(3);
  expect(await target.rows('t')).toEqual(['(1,a)']);
  expect(await target.rows('(SELECT one(), nextval($$free$$))')).toEqual(['(1,1)']);
});

const largestOf = (files: readonly string[]) => files.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;

function damageMiddle(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}
