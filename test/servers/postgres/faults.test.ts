import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {expect, onTestFinished, test} from 'vitest';
import {postgresPrograms} from '../../../scripts/servers.js';
import {openDesk} from '../../helpers/desk.ts';
import {loadStaging, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile(18);
const one = 'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, $$a$$)';
const tables = ['public.t'];
const owner = 'c';
const staged = "(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp%')";

async function databaseWith(schema: string): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  return database;
}

test('a wrong password and none at all are told apart, and the next step says where it can be set', async () => {
  const file = join(cluster().folder, 'data', 'pg_hba.conf');
  const rules = readFileSync(file, 'utf8');
  const database = await databaseWith("CREATE ROLE locked LOGIN PASSWORD 'right'");
  onTestFinished(async () => {
    writeFileSync(file, rules);
    await database.exec('SELECT pg_reload_conf()');
  });
  writeFileSync(file, `host all locked 127.0.0.1/32 scram-sha-256\n${rules}`);
  await database.exec('SELECT pg_reload_conf()');
  const env = {
    BKP_SOURCE: `host=127.0.0.1 port=${cluster().port} dbname=${database.name} user=locked`,
    PATH: `${cluster().bin}:${process.env.PATH}`,
  };
  const withPassword = (PGPASSWORD: string) => openDesk(undefined, {...env, PGPASSWORD});
  const none = await openDesk(undefined, env).bkp('doctor');
  expect(none.stdout).toContain('asks for a password, and none is set');
  const wrong = await withPassword('wrong').bkp('doctor');
  expect(wrong.stdout).toContain('refused the password');
  for (const {stdout, status} of [none, wrong]) {
    expect(status).toBe(1);
    expect(stdout).toContain('bkp config set source.password -');
  }
  expect((await withPassword('right').bkp('doctor')).status).toBe(0);
});

test('a lock that is not had names who holds it: a writer, a schema change, a prepared transaction', async () => {
  const lockedBy = async (statement: string, options: {track?: {owner: string}}) => {
    const database = await databaseWith(one);
    const blocker = await cluster().client(database.name);
    const {rows} = await blocker.query<{pid: number}>('SELECT pg_backend_pid() AS pid');
    await blocker.query(`BEGIN; ${statement}`);
    const source = database.with({lockTimeout: 0.2});
    const taking = takeFull(source, {tables, ...options});
    await expect(taking).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      retryable: true,
      message: expect.stringMatching(
        statement.includes('PREPARE')
          ? /^public\.t is locked by a prepared transaction/u
          : new RegExp(
              `^public\\.t is locked by process ${rows[0]!.pid} \\(BEGIN; ${statement.slice(0, 9)}.*, for \\d+ s\\)$`,
              'u',
            ),
      ),
    });
    await blocker.query(statement.includes('PREPARE') ? `COMMIT PREPARED '${database.name}'` : 'ROLLBACK');
    await blocker.end();
    await takeFull(source, {tables, ...options});
    await source.close();
  };
  await Promise.all([
    lockedBy('INSERT INTO t VALUES (7)', {track: {owner}}),
    lockedBy("INSERT INTO t VALUES (9); PREPARE TRANSACTION 'test_3'", {track: {owner}}),
    lockedBy('ALTER TABLE t ADD COLUMN w int', {}),
  ]);
});

test('a role whose settings end sessions early describes, takes increments and restores at its leisure', async () => {
  const database = await databaseWith(`${one}; CREATE ROLE hasty SUPERUSER LOGIN;
    ALTER ROLE hasty SET idle_in_transaction_session_timeout = '2s'; ALTER ROLE hasty SET idle_session_timeout = '2s';
    ALTER ROLE hasty SET transaction_timeout = '2s'`);
  const source = database.as('hasty');
  onTestFinished(() => source.close());
  const full = await takeFull(source, {tables, track: {owner}});
  await database.exec("UPDATE t SET v = 'b'");
  const snapshot = await source.snapshot({tables});
  const target = await databaseWith('SELECT 1');
  const into = target.as('hasty');
  onTestFinished(() => into.close());
  const staging = await loadStaging(into, await takeIncrement(source, owner, full));
  await pause(3000);
  expect(await source.describe(tables)).toHaveLength(1);
  expect(await snapshot.countRows('public.t')).toBe(1);
  await snapshot.confirm();
  await snapshot.close();
  await staging.finish({check: 'full'});
  await staging.publish({});
  await staging.discard();
  expect(await target.rows('t')).toEqual(['(1,b)']);
});

test('a search path that puts functions and operators before those of the catalog runs none of them', async () => {
  const body = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'attacked'; END $$";
  const database = await databaseWith(`${one}; CREATE SCHEMA evil;
    CREATE FUNCTION evil.pg_current_snapshot() RETURNS pg_snapshot ${body};
    CREATE FUNCTION evil.current_setting(text) RETURNS text ${body};
    CREATE FUNCTION evil.current_database() RETURNS name ${body};
    CREATE FUNCTION evil.quote_ident(text) RETURNS text ${body};
    CREATE FUNCTION evil.pg_backend_pid() RETURNS int ${body};
    CREATE FUNCTION evil.same(name, name) RETURNS bool ${body};
    CREATE FUNCTION evil.same(oid, oid) RETURNS bool ${body};
    CREATE FUNCTION evil.same(int, int) RETURNS bool ${body};
    CREATE OPERATOR evil.= (leftarg = name, rightarg = name, function = evil.same);
    CREATE OPERATOR evil.= (leftarg = oid, rightarg = oid, function = evil.same);
    CREATE OPERATOR evil.= (leftarg = int, rightarg = int, function = evil.same)`);
  await database.exec(`ALTER DATABASE ${database.name} SET search_path = evil, public, pg_catalog`);
  const {done} = openPostgresDesk(cluster(), database.name);
  const settings = "WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";
  await done('sql', `CREATE BACKUP COLLECTION c (TABLE t) ${settings}`);
  await done('sql', '--wait', 'BACKUP c');
  // Writers, too, have that path: the triggers must not.
  const writer = await cluster().client(database.name);
  await writer.query("UPDATE public.t SET v = 'b'");
  await writer.end();
  expect(await done('sql', '--wait', 'BACKUP c INCREMENTAL')).not.toContain('all rows of');
  await done('doctor');
  await done('sql', '--wait', "RESTORE c INTO SCHEMA 'copy'");
  expect(await database.rows('copy.t')).toEqual(['(1,b)']);
});

test('a server without a free connection is told as that', async () => {
  const database = await databaseWith(`${one}; CREATE ROLE scarce LOGIN CONNECTION LIMIT 1;
    GRANT pg_read_all_data TO scarce`);
  const source = database.as('scarce');
  onTestFinished(() => source.close());
  await source.describe('all');
  await expect(takeFull(source, {tables})).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    retryable: true,
    message: expect.stringContaining('has no connection left'),
    next: expect.stringContaining('max_connections'),
  });
});

test.each([3, 4])(
  'with %i connections of a role, fewer than are wanted, a large table is read all the same',
  async (limit) => {
    const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY, v text);
      INSERT INTO t SELECT g, repeat(md5(g::text), 60) FROM generate_series(1, 12000) g;
      CREATE ROLE few_${limit} LOGIN CONNECTION LIMIT ${limit}; GRANT pg_read_all_data TO few_${limit}`);
    const source = database.with({connections: 4}, {user: `few_${limit}`});
    onTestFinished(() => source.close());
    await source.describe('all');
    const full = await takeFull(source, {tables});
    const target = await databaseWith('SELECT 1');
    await restore(target.source, full);
    const sum = '(SELECT count(*), sum(hashtext(t::text)) FROM t)';
    expect(await target.rows(sum)).toEqual(await database.rows(sum));
  },
);

test('pg_dump that is absent, too old, or ended by an administrator is an error with a next step', async () => {
  const database = await databaseWith(one);
  const empty = mkdtempSync(join(tmpdir(), 'bkp-no-programs-'));
  onTestFinished(() => rmSync(empty, {recursive: true}));
  for (const [pgBin, message] of [
    [empty, 'there is no pg_dump'],
    [postgresPrograms(16), 'cannot read a server of version 18'],
  ] as const) {
    const source = database.with({pgBin});
    onTestFinished(() => source.close());
    const refused = {
      code: 'PRECONDITION',
      message: expect.stringContaining(message),
      next: expect.stringContaining('postgresql-client-18'),
    };
    await expect(source.preflight({tables, track: false})).rejects.toMatchObject(refused);
    await expect(takeFull(source, {tables})).rejects.toMatchObject(refused);
  }
  const holder = await cluster().client(database.name);
  onTestFinished(() => holder.end());
  await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_ts_template');
  const taking = expect(takeFull(database.source, {tables})).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    retryable: true,
    message: expect.stringContaining('pg_dump'),
  });
  const end = `SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE relation = 'pg_catalog.pg_ts_template'::regclass AND NOT granted`;
  await expect.poll(async () => (await holder.query(end)).rowCount).toBe(1);
  await taking;
  await holder.query('ROLLBACK');
  await takeFull(database.source, {tables});
});

test('a mark of another database, or one that was removed, breaks the chain by name', async () => {
  const database = await databaseWith(one);
  const full = await takeFull(database.source, {tables, track: {owner}});
  const broken = {code: 'CHAIN_BROKEN', next: expect.stringContaining('full backup')};
  await expect(takeIncrement((await databaseWith(one)).source, owner, full)).rejects.toMatchObject(broken);
  await database.exec('DROP SCHEMA _bkp CASCADE');
  await expect(takeIncrement(database.source, owner, full)).rejects.toMatchObject(broken);
  await database.exec("INSERT INTO t VALUES (2, 'writes go on')");
});

test('text that the encoding of the target cannot hold is refused, and nothing of the restore stays', async () => {
  const database = await databaseWith("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'Ω')");
  const full = await takeFull(database.source, {tables});
  await database.exec("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  const latin = database.named('latin');
  onTestFinished(() => latin.close());
  await expect(restore(latin.source, full)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('the encoding of latin'),
    next: expect.stringContaining('createdb'),
  });
  expect(await latin.rows(staged)).toEqual([]);
});

test('a database of another encoding gives its text back, also into UTF8', async () => {
  const admin = await databaseWith('SELECT 1');
  await admin.exec("CREATE DATABASE latin9 ENCODING 'LATIN9' LOCALE 'C' TEMPLATE template0");
  const latin = admin.named('latin9');
  onTestFinished(() => latin.close());
  await latin.exec(`CREATE TYPE état AS ENUM ('né', 'été');
    CREATE TABLE "prix €" ("clé" text PRIMARY KEY, note text DEFAULT 'à payer', état état CHECK (état <> 'né'));
    COMMENT ON COLUMN "prix €".note IS 'annoté';
    INSERT INTO "prix €" VALUES ('œuvre à 5 €', DEFAULT, 'été')`);
  const full = await takeFull(latin.source, {tables: ['public."prix €"'], track: {owner}});
  await latin.exec('INSERT INTO "prix €" VALUES (\'Ÿ\')');
  const increment = await takeIncrement(latin.source, owner, full);
  const target = await databaseWith('SELECT 1');
  await restore(target.source, increment);
  expect(await target.rows('"prix €"')).toEqual(await latin.rows('"prix €"'));
  await latin.exec('DROP TABLE "prix €"');
  await restore(latin.source, increment);
  expect(await latin.rows('"prix €"')).toEqual(await target.rows('"prix €"'));
  const defined = `(SELECT pg_get_expr(adbin, adrelid), col_description(adrelid, adnum),
    (SELECT string_agg(pg_get_constraintdef(oid), ';') FROM pg_constraint WHERE conrelid = adrelid AND contype = 'c')
    FROM pg_attrdef WHERE adrelid = '"prix €"'::regclass)`;
  for (const restored of [latin, target]) {
    expect(await restored.rows(defined)).toEqual([expect.stringMatching(/à payer.*annoté.*état.* <> 'né'/u)]);
  }
});

test('an event trigger of the target that refuses a statement ends a restore, and nothing stays', async () => {
  const database = await databaseWith(one);
  const full = await takeFull(database.source, {tables});
  const target = await databaseWith(`CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'no tables on Fridays'; END $$;
    CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION no()`);
  await expect(restore(target.source, full)).rejects.toMatchObject({
    message: expect.stringContaining('no tables on Fridays'),
  });
  expect(await target.rows(staged)).toEqual([]);
  await target.exec('DROP EVENT TRIGGER no');
  await restore(target.source, full);
});

test('an event trigger of the source that refuses tracking ends the backup, and changes nothing', async () => {
  const database = await databaseWith(`${one}; CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'no triggers here'; END $$;
    CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION no()`);
  await expect(takeFull(database.source, {tables, track: {owner}})).rejects.toMatchObject({
    message: expect.stringContaining('no triggers here'),
  });
  await takeFull(database.source, {tables});
  await database.exec("UPDATE t SET v = 'writes go on'; DROP EVENT TRIGGER no");
  const full = await takeFull(database.source, {tables, track: {owner}});
  await database.exec("UPDATE t SET v = 'c'");
  const target = await databaseWith('SELECT 1');
  await restore(target.source, await takeIncrement(database.source, owner, full));
  expect(await target.rows('t')).toEqual(['(1,c)']);
});

test('tables and indexes of a tablespace are restored where there is none', async () => {
  const disk = join(cluster().folder, 'fast');
  cluster().own(disk);
  const database = await databaseWith('SELECT 1');
  await database.exec(`CREATE TABLESPACE fast LOCATION '${disk}'`);
  await database.exec(`CREATE TABLE t (id int PRIMARY KEY USING INDEX TABLESPACE fast, v text) TABLESPACE fast;
    CREATE INDEX by_v ON t (v) TABLESPACE fast; INSERT INTO t VALUES (1, 'a')`);
  const full = await takeFull(database.source, {tables, track: {owner}});
  await database.exec("ALTER TABLE t SET TABLESPACE pg_default; INSERT INTO t VALUES (2, 'b')");
  const increment = await takeIncrement(database.source, owner, full);
  await database.exec('ALTER INDEX by_v SET TABLESPACE pg_default; ALTER INDEX t_pkey SET TABLESPACE pg_default');
  await database.exec('DROP TABLESPACE fast');
  const target = await databaseWith('SELECT 1');
  for (const backup of [full, increment]) {
    await restore(target.source, backup);
    await target.exec('ALTER TABLE t RENAME TO before; ALTER INDEX by_v RENAME TO x; ALTER INDEX t_pkey RENAME TO y');
    if (backup === increment) expect(await target.rows('before')).toEqual(['(1,a)', '(2,b)']);
    await target.exec('DROP TABLE before');
  }
});

test('foreign tables are no members, and a table with a foreign partition is refused with the reason', async () => {
  const database =
    await databaseWith(`${one}; CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER away FOREIGN DATA WRAPPER nothing;
    CREATE FOREIGN TABLE f (id int) SERVER away; CREATE VIEW vf AS SELECT * FROM f;
    CREATE TABLE parted (id int) PARTITION BY RANGE (id);
    CREATE TABLE near PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE FOREIGN TABLE far PARTITION OF parted FOR VALUES FROM (10) TO (20) SERVER away`);
  expect(await database.source.describe(['f', 'parted'])).toEqual([
    {name: 'public.f', state: 'unsupported', reason: 'its rows are on another server: back that one up'},
    {name: 'public.parted', state: 'unsupported', reason: expect.stringContaining('public.far')},
  ]);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  const told = await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  expect(`${told}${await done('sql', '--wait', 'BACKUP c')}`).toContain(
    'tables with partitions on another server are not in a backup: public.parted',
  );
  const target = await databaseWith('SELECT 1');
  const restored = await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(restored).toContain('tables with partitions on another server are not in a backup: public.parted');
  expect(restored).toContain('foreign tables are not in a backup: public.f, public.far');
  expect(await target.rows('t')).toEqual(['(1,a)']);
  await target.exec(`ALTER DATABASE ${target.name} SET default_transaction_read_only = on`);
  const refused = await desk.bkp('--source', addressOf(cluster(), target.name), 'sql', 'RESTORE c');
  expect(refused).toMatchObject({status: 12, stderr: expect.stringContaining('is read-only for this role')});
});

/** A place of `sizeMiB` for a database, and whoever may not mount one skips the test. */
function smallDisk(sizeMiB: number): string | undefined {
  const disk = join(cluster().folder, 'small');
  mkdirSync(disk, {recursive: true});
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,uid=65534,gid=65534,mode=700`, 'tmpfs', disk], {
      stdio: 'ignore',
    });
  } catch {
    return undefined;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', disk]));
  return disk;
}

test('a full disk of the server ends a backup that tracks and a restore, and nothing of it stays', async (context) => {
  const disk = smallDisk(28);
  if (disk === undefined) return context.skip('mounting a tmpfs needs root');
  const random = "(SELECT string_agg(md5(g || '-' || i), '') FROM generate_series(1, 40) i)";
  const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, ${random} FROM generate_series(1, 20000) g`);
  const full = await takeFull(database.source, {tables});
  await database.exec(`CREATE TABLESPACE small LOCATION '${disk}'`);
  await database.exec('CREATE DATABASE crowded TABLESPACE small');
  const crowded = database.named('crowded');
  onTestFinished(async () => {
    await crowded.close();
    await database.exec('DROP DATABASE crowded');
    await database.exec('DROP TABLESPACE small');
  });
  const refused = {
    code: 'SOURCE_FULL',
    message: expect.stringContaining('the disk of the server'),
    next: expect.stringContaining('free space on the server'),
  };
  await expect(restore(crowded.source, full)).rejects.toMatchObject(refused);
  expect(await crowded.rows(staged)).toEqual([]);
  await crowded.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')`);
  const tracked = await takeFull(crowded.source, {tables, track: {owner}});
  await crowded.exec("UPDATE t SET v = 'b'");
  const fill = `INSERT INTO filler SELECT g, ${random} FROM generate_series(1, 100) g`;
  await crowded.exec('CREATE TABLE filler (g int, v text)');
  for (;;) {
    const isFull = await crowded.exec(fill).then(
      () => false,
      () => true,
    );
    if (isFull) break;
  }
  const outcome = await takeIncrement(crowded.source, owner, tracked).catch((error: unknown) => error);
  if (outcome instanceof Error) expect(outcome).toMatchObject(refused);
  await crowded.exec('DROP TABLE filler');
  const target = await databaseWith('SELECT 1');
  await restore(target.source, await takeIncrement(crowded.source, owner, tracked));
  expect(await target.rows('t')).toEqual(['(1,b)']);
});
