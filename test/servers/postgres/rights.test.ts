import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile();

async function databaseWith(schema: string): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  return database;
}

function deskOf(database: TestDatabase, role: string, more: Readonly<Record<string, string>> = {}) {
  const {folder, port, bin} = cluster();
  return openDesk(undefined, {
    BKP_SOURCE: `host=${join(folder, 's')} port=${port} dbname=${database.name} user='${role}'`,
    PATH: `${bin}:${process.env.PATH}`,
    ...more,
  });
}

type Desk = ReturnType<typeof deskOf>;
type Check = {what: string; ok: boolean; detail: string; next?: string};

async function checksOf(desk: Desk): Promise<readonly Check[]> {
  const {stdout} = await desk.bkp('doctor', '--format', 'json');
  const {checks} = JSON.parse(stdout) as {checks: readonly Check[]};
  return checks.filter(({what}) => what.startsWith('source'));
}

/** The statements that an error or a check says are missing. */
const grantsIn = (next: string) => /execute: (.*;)/u.exec(next)?.[1] ?? '';

async function done(desk: Desk, ...args: string[]): Promise<string> {
  const result = await desk.bkp(...args);
  expect(result, `${args.join(' ')}\n${result.stdout}${result.stderr}`).toMatchObject({status: 0});
  return `${result.stdout}${result.stderr}`;
}

const shop = `
  CREATE ROLE "Shop owner"; CREATE ROLE "minimal bkp" LOGIN; CREATE SCHEMA billing AUTHORIZATION "Shop owner";
  SET ROLE "Shop owner";
  CREATE TABLE billing.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
  CREATE SEQUENCE billing.numbers;
  CREATE TABLE billing."Cards" (id int PRIMARY KEY DEFAULT nextval('billing.numbers'), secret text);
  ALTER TABLE billing."Cards" ENABLE ROW LEVEL SECURITY;
  CREATE TABLE billing.parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE billing.parts_1 PARTITION OF billing.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  INSERT INTO billing.orders (note) VALUES ('a'), ('b'); INSERT INTO billing."Cards" (secret) VALUES ('x');
  INSERT INTO billing.parts VALUES (1, '2026-05-05'); RESET ROLE`;

test('a role that is given exactly what doctor says takes full backups and increments', async () => {
  const database = await databaseWith(shop);
  const desk = deskOf(database, 'minimal bkp');
  await done(
    desk,
    'sql',
    `CREATE BACKUP COLLECTION c (TABLE \`billing.orders\`, TABLE \`billing.Cards\`, TABLE billing.parts)
      WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')`,
  );
  const refused = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain('role "minimal bkp" may not read billing.orders, billing."Cards", billing.parts');
  const before = await checksOf(desk);
  const missing = before.filter(({ok}) => !ok);
  expect(missing.map(({what}) => what)).toEqual([
    'source: rights',
    'source: rights',
    'source: increments',
    'source: increments',
  ]);
  for (const {next} of missing) await database.exec(grantsIn(next!));
  expect((await checksOf(desk)).filter(({ok}) => !ok)).toEqual([]);
  await done(desk, 'sql', '--wait', 'BACKUP c');
  await database.exec(`UPDATE billing.orders SET note = 'changed'; INSERT INTO billing.parts VALUES (2, '2026-06-06')`);
  expect(await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL')).not.toContain('all rows of');
  expect(await done(desk, 'doctor')).toContain('for collection c');
});

test('each right that is missing is refused before an operation begins, with the statement that gives it', async () => {
  const database = await databaseWith(
    shop.replaceAll('minimal bkp', 'step bkp').replaceAll('Shop owner', 'Step owner'),
  );
  const desk = deskOf(database, 'step bkp');
  await done(
    desk,
    'sql',
    `CREATE BACKUP COLLECTION c (TABLE billing.orders, TABLE \`billing.Cards\`)
      WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')`,
  );
  const seen: string[] = [];
  for (;;) {
    const result = await desk.bkp('sql', '--wait', 'BACKUP c');
    if (result.status === 0) break;
    expect(result).toMatchObject({status: 12});
    const [message] = result.stderr.split('\n');
    seen.push(message!.replace('bkp: ', ''));
    const statements = grantsIn(result.stderr.replaceAll(/\n\s+/gu, ' '));
    expect(statements, result.stderr).not.toBe('');
    await database.exec(statements);
    expect(seen.length).toBeLessThan(9);
  }
  expect(seen).toEqual([
    'role "step bkp" may not read billing.orders, billing."Cards" (PRECONDITION_FAILED)',
    'role "step bkp" may not create the schema _bkp, in which changes are logged (PRECONDITION_FAILED)',
  ]);
  expect(await done(desk, 'operation', 'list')).not.toContain('FAILED');
});

test('two roles share change tracking when the second one is a member of the first', async () => {
  const database = await databaseWith(`CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY);
    CREATE ROLE first_bkp SUPERUSER LOGIN; CREATE ROLE second_bkp LOGIN; CREATE ROLE app2; GRANT app2 TO second_bkp;
    GRANT pg_read_all_data TO second_bkp; GRANT CREATE ON DATABASE test_3 TO second_bkp;
    ALTER TABLE two OWNER TO app2; GRANT ALL ON SCHEMA public TO app2`);
  const first = deskOf(database, 'first_bkp');
  const second = deskOf(database, 'second_bkp');
  await database.exec('ALTER ROLE first_bkp NOSUPERUSER BYPASSRLS; GRANT pg_read_all_data TO first_bkp');
  await database.exec(`GRANT CREATE ON DATABASE test_3 TO first_bkp; CREATE ROLE app1; GRANT app1 TO first_bkp;
    ALTER TABLE one OWNER TO app1`);
  const collection = (table: string) =>
    `CREATE BACKUP COLLECTION c (TABLE ${table}) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')`;
  await done(first, 'sql', collection('public.one'));
  await done(first, 'sql', '--wait', 'BACKUP c');
  await done(second, 'sql', collection('public.two'));
  const refused = await second.bkp('sql', '--wait', 'BACKUP c');
  expect(refused.stderr).toContain('the schema _bkp, in which changes are logged, belongs to role first_bkp');
  await database.exec(grantsIn(refused.stderr.replaceAll(/\n\s+/gu, ' ')));
  await done(second, 'sql', '--wait', 'BACKUP c');
  expect(
    await database.rows(`(SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
        WHERE relnamespace = '_bkp'::regnamespace
      UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = '_bkp'::regnamespace)`),
  ).toEqual(['(first_bkp)']);
  await database.exec('INSERT INTO one VALUES (1); INSERT INTO two VALUES (1)');
  for (const desk of [second, first]) {
    await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL');
    await database.exec('UPDATE one SET id = id + 1; UPDATE two SET id = id + 1');
    expect(await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL')).not.toContain('all rows of');
  }
});

test('with tracking=scan, a database that was dropped and made anew does not continue the backups', async () => {
  const made = 'CREATE TABLE t (id int PRIMARY KEY)';
  const database = await databaseWith(`${made}; INSERT INTO t SELECT generate_series(1, 50)`);
  const {folder, port} = cluster();
  const url = `postgres://postgres@/${database.name}?host=${encodeURIComponent(join(folder, 's'))}&port=${port}`;
  const desk = deskOf(database, 'postgres', {BKP_SOURCE: `postgres::url=${url};tracking=scan`});
  await done(
    desk,
    'sql',
    `CREATE BACKUP COLLECTION c (TABLE t)
     WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true', KEEP_LAST='1')`,
  );
  await done(desk, 'sql', '--wait', 'BACKUP c');
  const admin = await cluster().client('postgres');
  await admin.query(`DROP DATABASE ${database.name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${database.name}`);
  await admin.end();
  const anew = await cluster().client(database.name);
  await anew.query(made);
  await anew.end();
  for (const statement of ['BACKUP c INCREMENTAL', 'BACKUP c INCREMENTAL OR FULL', 'BACKUP c']) {
    const {status, stderr} = await desk.bkp('sql', '--wait', statement);
    expect(status, stderr).toBe(12);
    expect(stderr).toContain('the backups of c are of another database');
  }
  // Who adopts it has the rows of the one before for a while.
  await done(desk, 'sql', '--wait', "BACKUP c WITH (ADOPT='true')");
  await done(desk, 'sql', '--wait', 'BACKUP c');
  const {stdout} = await desk.bkp('sql', '--format', 'json', 'SHOW BACKUPS IN c');
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).rows),
  ).toContain(50);
});

test('tracking=scan only reads, with SELECT alone, and gives increments too', async () => {
  const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
    CREATE ROLE scanner LOGIN; GRANT SELECT ON t TO scanner`);
  const {folder, port} = cluster();
  const url = `postgres://scanner@/${database.name}?host=${encodeURIComponent(join(folder, 's'))}&port=${port}`;
  const desk = deskOf(database, 'scanner', {BKP_SOURCE: `postgres::url=${url};tracking=scan`});
  await done(
    desk,
    'sql',
    "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')",
  );
  await done(desk, 'sql', '--wait', 'BACKUP c');
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
  await database.exec('INSERT INTO t VALUES (2)');
  await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL');
  await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL');
  await database.exec('INSERT INTO t VALUES (3); DELETE FROM t WHERE id < 3');
  await done(desk, 'sql', '--wait', 'BACKUP c INCREMENTAL OR FULL');
  const listed = await desk.bkp('sql', '--format', 'json', 'SHOW BACKUPS IN c');
  const rows = listed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as {rows: number; type: string});
  expect(rows.map(({rows: count}) => count)).toEqual([1, 1, 0, 1]);
  await done(desk, 'sql', '--wait', 'VERIFY c');
  const log = await desk.bkp('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(log).toMatchObject({
    status: 12,
    stderr: expect.stringMatching(/find changes by reading the tables, so\s+there is no log/u),
  });
  const target = await databaseWith('SELECT 1');
  const other = deskOf(target, 'postgres', {BKP_CLUSTER: join(desk.folder, 'cluster')});
  await done(other, 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('t')).toEqual(['(3)']);
  expect((await checksOf(desk)).find(({what}) => what === 'source: increments')).toMatchObject({
    ok: true,
    detail: 'changes of 1 table are found by reading, because the source has tracking=scan',
  });
});

test('rights are read whatever plan the server chooses for that', async () => {
  const columns = Array.from({length: 1590}, (_, at) => `c${at} int DEFAULT ${at}`);
  const database = await databaseWith(`CREATE TABLE a (id int PRIMARY KEY);
    CREATE TABLE w (id int PRIMARY KEY, ${columns.join(', ')})`);
  const desk = deskOf(database, 'postgres');
  await done(desk, 'sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  for (const statement of ['SELECT 1', 'ANALYZE']) {
    await database.exec(statement);
    await done(desk, 'sql', '--wait', 'BACKUP c');
  }
});
