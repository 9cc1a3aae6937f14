import {expect, onTestFinished, test} from 'vitest';
import {awkwardChanges, awkwardSchema} from './awkward.ts';
import {clusterOfFile, databaseOfTest, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {Network} from './network.ts';

const cluster = clusterOfFile();

async function backedUp(schema: string) {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  return {database, desk, done};
}

const scratches = (database: TestDatabase) =>
  database.rows("(SELECT datname FROM pg_database WHERE datname LIKE 'bkp\\_drill%')");

test('a drill restores a backup into a database of its own, asks it, and removes it', async () => {
  const {database, desk, done} = await backedUp(awkwardSchema);
  await database.exec(awkwardChanges);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='restore', CHECK_SQL='SELECT count(*) > 0 FROM a')");
  const page = await done('report', 'c');
  expect(page).toContain('RESTORE DRILL: PASSED');
  // The extension is not among the programs of the tests.
  expect(page).toContain('amcheck');
  expect(page).toContain('in number of rows and in every value: 9 tables');
  expect(page).not.toContain('integrity_check');
  const failed = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='restore', CHECK_SQL='SELECT nope FROM a')");
  expect(failed.status).not.toBe(0);
  expect(failed.stderr).toContain('the query does not hold: SELECT nope FROM a');
  expect(await scratches(database)).toEqual([]);
});

const endless = [
  'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) > 0 FROM n',
  'SELECT pg_sleep(100000) IS NULL',
  'SELECT count(*) > 0 FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b, generate_series(1, 9) c',
];

test.each(endless)('a query that does not end does not hold: %s', async (query) => {
  const {database, desk, done} = await backedUp('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  await done('config', 'set', 'verify.query.seconds', '1');
  const failed = await desk.bkp('sql', '--wait', `VERIFY c WITH (LEVEL='restore', CHECK_SQL='${query}')`);
  expect(failed.stderr).toContain('the query does not hold');
  expect(failed.stderr.replaceAll(/\s+/gu, ' ')).toContain(
    'it returned nothing within 1 seconds; verify.query.seconds of the configuration is the limit',
  );
  expect(failed.status).toBe(13);
  const sessions =
    "(SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'bkp%' OR datname LIKE 'bkp\\_drill%')";
  expect(await database.rows(sessions)).toEqual([]);
  expect(await scratches(database)).toEqual([]);
});

test('a query that the role may not ask does not hold', async () => {
  const {database, desk} = await backedUp('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  await database.exec('CREATE ROLE driller LOGIN CREATEDB');
  const failed = await desk.bkp(
    ...['--source', addressOf(cluster(), database.name, 'driller'), 'sql', '--wait'],
    `VERIFY c WITH (LEVEL='restore', CHECK_SQL='SELECT count(*) > 0 FROM pg_authid')`,
  );
  expect(failed.stderr.replaceAll(/\s+/gu, ' ')).toContain(
    'the query does not hold: SELECT count(*) > 0 FROM pg_authid',
  );
  expect(failed.status).toBe(13);
});

test('a role that may not create a database is told what it needs, before anything begins', async () => {
  const {database, desk} = await backedUp('CREATE TABLE t (id int PRIMARY KEY)');
  await database.exec('CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader');
  const refused = await desk.bkp(
    '--source',
    addressOf(cluster(), database.name, 'reader'),
    'sql',
    "VERIFY c WITH (LEVEL='restore')",
  );
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toContain('the role reader may not create a scratch database');
  expect(refused.stderr).toContain('ALTER ROLE "reader" CREATEDB');
  expect(refused.stderr).toContain('or name another server');
  await database.exec('GRANT ALL ON SCHEMA _bkp TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA _bkp TO reader');
  const compared = await desk.bkp(
    ...['--source', addressOf(cluster(), database.name, 'reader')],
    ...['sql', "VERIFY c WITH (LEVEL='source')"],
  );
  expect(compared.stderr).toContain('ALTER ROLE "reader" CREATEDB');
  expect(compared.stderr).not.toContain('another server');
  const file = await desk.bkp('--source', 'sqlite::path=/nowhere/x.db', 'sql', "VERIFY c WITH (LEVEL='restore')");
  expect(file.stderr).toContain('the backup is of a server');
});

test('the source is compared with its newest backup plus the tracked changes, and what differs is named', async () => {
  const {database, desk, done} = await backedUp(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 50) g`);
  await database.exec("UPDATE t SET v = 'seen' WHERE id = 3");
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(await done('report', 'c')).toContain('PASSED');
  // What a superuser removes from the log, no increment has.
  await database.exec(`DELETE FROM t WHERE id = 1; UPDATE t SET v = 'hidden' WHERE id = 2;
    INSERT INTO t VALUES (99, '');
    SET _bkp.trim = on; DO $$ BEGIN EXECUTE 'DELETE FROM _bkp.log_' || 't'::regclass::oid; END $$;
    RESET _bkp.trim`);
  const failed = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(failed.status).not.toBe(0);
  expect(failed.stderr).toContain('public.t: 1 row only in the source (99), 2 rows with other values (2; 3)');
  expect(failed.stderr).toContain('1 row only in the backup and its changes (1)');
  expect(await scratches(database)).toEqual([]);
});

test('LEVEL=source compares tables that need one without a key', async () => {
  const {database, desk, done} = await backedUp(`CREATE TABLE a (x int, v text); INSERT INTO a VALUES (1, 'a');
    CREATE TABLE t (id int PRIMARY KEY) INHERITS (a); INSERT INTO t VALUES (1, 'b', 1);
    CREATE TABLE typed (id int PRIMARY KEY, r a); INSERT INTO typed VALUES (1, '(1,2)')`);
  await database.exec("UPDATE t SET v = 'seen'; UPDATE typed SET r = '(3,4)'");
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(await done('report', 'c')).toContain('PASSED');
  await database.exec(`UPDATE t SET v = 'hidden';
    SET _bkp.trim = on; DO $$ BEGIN EXECUTE 'DELETE FROM _bkp.log_' || 't'::regclass::oid; END $$;
    RESET _bkp.trim`);
  const failed = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(failed.stderr).toContain('public.t: 1 row with other values (1)');
});

test('LEVEL=source compares and names rows with values of the row type of another table', async () => {
  const {database, desk, done} = await backedUp(`CREATE TABLE a (id int PRIMARY KEY, v text);
    INSERT INTO a SELECT n, 'v' || n FROM generate_series(1, 50) n;
    CREATE TABLE typed (id int PRIMARY KEY, r a, l a[]); INSERT INTO typed SELECT id, a, ARRAY[a] FROM a`);
  await database.exec("UPDATE a SET v = 'seen' WHERE id = 1; UPDATE typed SET r = '(3,seen)' WHERE id = 1");
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(await done('report', 'c')).toContain('PASSED');
  await database.exec(`UPDATE a SET v = 'hidden' WHERE id = 2; UPDATE typed SET r = '(3,hidden)' WHERE id = 2;
    SET _bkp.trim = on; DO $$ BEGIN EXECUTE 'DELETE FROM _bkp.log_' || 'a'::regclass::oid;
      EXECUTE 'DELETE FROM _bkp.log_' || 'typed'::regclass::oid; END $$; RESET _bkp.trim`);
  const failed = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(failed.stderr).toContain('public.a: 2 rows with other values (1; 2)');
  expect(failed.stderr).toContain('public.typed: 2 rows with other values (1; 2)');
});

test('the database of a drill goes although the connection that made it has broken', async () => {
  const database = await databaseOfTest(cluster(), 'SELECT 1');
  const network = await Network.start(() => cluster().port);
  onTestFinished(() => network.close());
  const source = database.through(network.port);
  onTestFinished(() => source.close());
  const scratch = await source.scratch.create('0123');
  expect(await scratches(database)).toEqual(['(bkp_drill_0123)']);
  network.cut();
  await scratch.remove();
  expect(await scratches(database)).toEqual([]);
  // The server has created it, and the answer does not arrive.
  let failed = 0;
  for (let bytes = 60; failed >= 0; bytes += 90) {
    await source.identity();
    network.cutAfterBytes = network.bytes + bytes;
    const made = await source.scratch.create('4567').catch(() => undefined);
    network.cutAfterBytes = Number.POSITIVE_INFINITY;
    await made?.remove();
    expect(await scratches(database), `cut after ${bytes} bytes`).toEqual([]);
    failed = made === undefined ? failed + 1 : -1;
  }
});
