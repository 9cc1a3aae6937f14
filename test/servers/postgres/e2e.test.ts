import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {awkwardChanges, awkwardSchema, awkwardTables} from './awkward.ts';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile(18);

// What docs/postgresql.md shows, with the real bkp.
test('a database is backed up with increments, verified, and restored into another database', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`${awkwardSchema}; CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain VALUES (1)`);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  expect(await done('doctor')).toContain(`PostgreSQL 18`);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec(awkwardChanges);
  const increment = await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(increment).toContain('all rows of public.parent are taken: it was truncated since the backup before');
  expect(increment).not.toContain('all rows of public.a are taken');
  await done('sql', '--wait', 'VERIFY c');
  const refused = await desk.bkp('sql', '--wait', 'RESTORE c');
  expect(refused).toMatchObject({status: 12, stderr: expect.stringContaining('path exist: /Root/"We ird"')});
  await done('sql', '--wait', 'RESTORE c TABLE public.a AS a_old');
  expect(await database.rows('a_old')).toEqual(await database.rows('ONLY public.a'));
  const taken = await desk.bkp('sql', '--wait', 'RESTORE c TABLE public.a AS a_old');
  expect(taken.stderr).toContain('path exist: /Root/public.a_old');
  expect(taken.stderr).toContain('`public.a` AS `public.a_restored`');
  expect(taken.stderr).toContain('TABLE `public.a` AT');
  expect(taken.stderr).toContain("INTO SCHEMA 'restored'");
  expect(taken.stderr).toContain("WITH (MODE='merge')");
  await database.exec('DELETE FROM plain');
  await done('sql', '--wait', "RESTORE c TABLE public.plain WITH (MODE='merge', DRY_RUN='true')");
  expect(await database.rows('plain')).toEqual([]);
  await done('sql', '--wait', "RESTORE c TABLE public.plain WITH (MODE='merge')");
  expect(await database.rows('plain')).toEqual(['(1)']);
  await database.exec('DROP TABLE a_old');
  await done('restore', 'c', '--table', 'public.a', '--into-schema', 'before', '--wait');
  expect(await database.rows('before.a')).toEqual(await database.rows('ONLY public.a'));
  await database.exec('DROP SCHEMA before CASCADE');
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  for (const table of awkwardTables) {
    const only = table === 'public.part' ? table : `ONLY ${table}`;
    expect(await target.rows(only), table).toEqual(await database.rows(only));
  }
  await done('sql', 'DROP BACKUP COLLECTION c');
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
});

test('a server that does not answer, a wrong database and a missing password are errors with a next step', async () => {
  const at = (more: string) => `host=${join(cluster().folder, 's')} port=${cluster().port} user=postgres ${more}`;
  for (const [source, message, next] of [
    [at('dbname=nothing'), 'there is no database nothing', '-l lists the server'],
    ['host=127.0.0.1 port=1 dbname=shop user=app', 'database shop at 127.0.0.1:1 does not answer', 'psql "host='],
    [at('dbname=postgres user=nobody').replace('user=postgres ', ''), 'refused the connection', 'psql "host='],
  ] as const) {
    const desk = openDesk(undefined, {BKP_SOURCE: source, PATH: `${cluster().bin}:${process.env.PATH}`});
    const doctor = await desk.bkp('doctor');
    expect(doctor.stdout).toContain(message);
    expect(doctor.stdout).toContain(next);
  }
});

test('a tracked database can be dumped and restored by its own programs, and is tracked again there', async () => {
  const database = await cluster().create();
  const copy = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await copy.close();
  });
  await database.exec('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE two (a int, b text, PRIMARY KEY (a, b))');
  const tables = ['public.t', 'public.two'];
  await takeFull(database.source, {tables, track: {owner: 'c'}});
  const program = (name: string) => join(cluster().bin, name);
  const dump = execFileSync(program('pg_dump'), [...cluster().where, database.name]);
  execFileSync(program('psql'), ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...cluster().where, '-d', copy.name], {
    input: dump,
  });
  const full = await takeFull(copy.source, {tables, track: {owner: 'd'}});
  await copy.exec("INSERT INTO t VALUES (1); INSERT INTO two VALUES (1, 'x'); UPDATE two SET b = 'y'");
  const next = await takeIncrement(copy.source, 'd', full);
  expect(next.layers['public.two']!.map(({kind}) => kind)).toEqual(['base', 'delta']);
});

test('a plain role restores, free sequences keep their value, and a table that left is untracked', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE SEQUENCE shared START 10; CREATE TABLE gone (id int PRIMARY KEY);
    CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('shared'), v int); INSERT INTO t (v) VALUES (1), (2)`);
  const full = await takeFull(database.source, {tables: ['public.gone', 'public.t'], track: {owner: 'c'}});
  const later = await takeFull(database.source, {tables: ['public.t'], track: {owner: 'c'}});
  await database.source.acknowledge('c', later.mark!);
  expect(await database.rows("(SELECT tgname FROM pg_trigger WHERE tgrelid = 'gone'::regclass)")).toEqual([]);
  await target.exec(`CREATE ROLE plain_${target.name} LOGIN; GRANT ALL ON SCHEMA public TO plain_${target.name};
    GRANT CREATE ON DATABASE ${target.name} TO plain_${target.name}`);
  await restore(target.as(`plain_${target.name}`), full);
  expect(await target.rows("(SELECT nextval('shared'))")).toEqual(['(12)']);
});
