import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, onTestFinished, test, vi} from 'vitest';
import {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {type Cluster, clusterOfFile, databaseOfTest, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

// The server gives a partition the row triggers of its table, under the same name: tracking must not be in the way.

const versions = {15: clusterOfFile(15), 16: clusterOfFile(16), 18: clusterOfFile(18)};
const cluster = versions[18];
const schema = `
  CREATE TABLE part (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
  INSERT INTO part VALUES (1, '2020-02-02', 'a'), (2, '2020-03-03', 'a');`;
const create = "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";
const attach = (table: string, year: number) =>
  `ALTER TABLE part ATTACH PARTITION ${table} FOR VALUES FROM ('${year}-01-01') TO ('${year + 1}-01-01')`;
const increment = ['sql', '--wait', 'BACKUP c INCREMENTAL'] as const;

const filled = (on: Cluster, sql = schema) => databaseOfTest(on, sql);

const triggersOf = (database: TestDatabase, tables = '{part,part_a}') =>
  database.rows(`(SELECT DISTINCT tgname FROM pg_trigger
    WHERE NOT tgisinternal AND tgname LIKE '~bkp%' AND tgrelid = ANY ('${tables}'::regclass[]))`);

/** A restore has exactly the rows and partitions of the database, and nothing of its tracking. */
async function expectRestored(on: Cluster, database: TestDatabase, done: (...args: string[]) => Promise<string>) {
  const target = await filled(on, 'SELECT 1');
  const told = await done('--source', addressOf(on, target.name), 'sql', '--wait', 'RESTORE c');
  expect(told).not.toContain('left out');
  expect(await target.rows('part')).toEqual(await database.rows('part'));
  const partitions = "(SELECT relid, parentrelid, level FROM pg_partition_tree('part'))";
  expect(await target.rows(partitions)).toEqual(await database.rows(partitions));
  expect(await target.rows("(SELECT tgname FROM pg_trigger WHERE tgname LIKE '~bkp%')")).toEqual([]);
}

test.each([15, 16, 18] as const)('on version %d, tracked tables become partitions and leave again', async (build) => {
  const on = versions[build]();
  const database = await filled(on);
  const {done} = openPostgresDesk(on, database.name);
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  await database.exec(`CREATE TABLE part_b (LIKE part INCLUDING ALL); INSERT INTO part_b VALUES (7, '2021-05-05', 'b');
    CREATE TABLE part_c (LIKE part INCLUDING ALL) PARTITION BY RANGE (id);
    CREATE TABLE part_c1 PARTITION OF part_c FOR VALUES FROM (0) TO (1000);
    INSERT INTO part_c VALUES (8, '2022-05-05', 'c')`);
  await done(...increment);
  // As the owner of the tables, who has no rights in the schema of the logs.
  const role = `owner_${database.name}`;
  const tables = ['part', 'part_a', 'part_b', 'part_c', 'part_c1'];
  await database.exec(`CREATE ROLE ${role}; GRANT CREATE ON SCHEMA public TO ${role};
    ${tables.map((table) => `ALTER TABLE ${table} OWNER TO ${role}`).join('; ')}`);
  await database.exec(`SET ROLE ${role}; ${attach('part_b', 2021)}; ${attach('part_c', 2022)};
    INSERT INTO part_b VALUES (9, '2021-06-06', 'b'); UPDATE part SET v = 'attached' WHERE id = 8; RESET ROLE`);
  expect(await done(...increment)).toContain(
    'all rows of public.part are taken: its triggers, columns or partitions were changed',
  );
  await expectRestored(on, database, done);
  expect(await triggersOf(database, '{part_b,part_c,part_c1}')).toEqual(
    (await triggersOf(database)).filter((name) => name.startsWith('(~bkp_r_')),
  );
  await database.exec(`UPDATE part SET v = 'x' WHERE id IN (1, 7); UPDATE part_c1 SET v = 'y'; DELETE FROM part_a
    WHERE id = 2; UPDATE part SET day = '2022-01-01' WHERE id = 9`);
  expect(await done(...increment)).not.toContain('all rows of');
  await expectRestored(on, database, done);
  await database.exec('ALTER TABLE part DETACH PARTITION part_a; ALTER TABLE part DETACH PARTITION part_c');
  await done(...increment);
  await database.exec("UPDATE part_a SET v = 'alone'; UPDATE part_c SET v = 'alone'");
  expect(await done(...increment)).not.toContain('all rows of');
  await database.exec(`${attach('part_a', 2020)}; ${attach('part_c', 2022)}; UPDATE part_c SET v = 'again'`);
  await done(...increment);
  await database.exec("UPDATE part SET v = 'last' WHERE id IN (1, 8)");
  expect(await done(...increment)).not.toContain('all rows of');
  await expectRestored(on, database, done);
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='source')");
  expect(await done('doctor')).not.toContain('were changed');
  await done('sql', 'DROP BACKUP COLLECTION c');
  expect(await database.rows("(SELECT tgname FROM pg_trigger WHERE tgname LIKE '~bkp%')")).toEqual([]);
});

test('a table that was a partition for a while has the changes that came through the partitioned table', async () => {
  const database = await filled(
    cluster(),
    `${schema} CREATE TABLE part_b (LIKE part INCLUDING ALL); INSERT INTO part_b VALUES (7, '2021-05-05', 'b')`,
  );
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', create);
  await done('sql', '--wait', 'BACKUP c');
  await database.exec(`${attach('part_b', 2021)}; INSERT INTO part VALUES (8, '2021-06-06', 'through part');
    UPDATE part SET v = 'through part' WHERE id = 7; UPDATE part SET day = '2021-07-07' WHERE id = 1;
    ALTER TABLE part DETACH PARTITION part_b`);
  expect(await done(...increment)).toContain('all rows of public.part_b are taken');
  const target = await filled(cluster(), 'SELECT 1');
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  for (const table of ['part', 'part_b']) expect(await target.rows(table)).toEqual(await database.rows(table));
});

test('tracking that an older bkp made, under a name that partitions share, is made again', async () => {
  const database = await filled(cluster());
  const full = await takeFull(database.source, {tables: ['public.part'], track: {owner: 'c'}});
  const [name] = (await triggersOf(database)).filter((one) => one.startsWith('(~bkp_r'));
  await database.exec(`ALTER TRIGGER "${name!.slice(1, -1)}" ON part RENAME TO "~bkp_r";
    UPDATE _bkp.tracked SET made = 'older'; CREATE TABLE part_b (LIKE part INCLUDING ALL)`);
  const tracked = await takeFull(database.source, {tables: ['public.part_b'], track: {owner: 'd'}});
  await expect(database.exec(attach('part_b', 2021))).rejects.toThrow('already exists');
  await database.exec("UPDATE part SET v = 'x' WHERE id = 1");
  const told: string[] = [];
  const next = await takeIncrement(database.source, 'c', full, {notice: (text) => told.push(text)});
  expect(told).toEqual([expect.stringContaining('all rows of public.part are taken: its triggers')]);
  expect(await triggersOf(database)).toContain(name);
  expect(await triggersOf(database)).not.toContain('(~bkp_r)');
  await database.exec(`${attach('part_b', 2021)}; INSERT INTO part VALUES (3, '2021-01-01', 'b')`);
  const last = await takeIncrement(database.source, 'c', next);
  expect(last.layers['public.part']!.map(({kind}) => kind)).toEqual(['base']);
  expect(tracked.mark).toBeDefined();
});

test('a copy of the database loses the triggers of the one that it was copied from', async () => {
  const database = await filled(cluster());
  const copy = await filled(cluster(), 'SELECT 1');
  await takeFull(database.source, {tables: ['public.part'], track: {owner: 'c'}});
  const before = await triggersOf(database);
  const program = (name: string) => join(cluster().bin, name);
  const dump = execFileSync(program('pg_dump'), [...cluster().where, database.name]);
  execFileSync(program('psql'), ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...cluster().where, '-d', copy.name], {
    input: dump,
  });
  expect(await triggersOf(copy)).toEqual(before);
  const full = await takeFull(copy.source, {tables: ['public.part'], track: {owner: 'd'}});
  const after = await triggersOf(copy);
  expect(after).toHaveLength(2);
  expect(after).not.toEqual(before);
  await copy.exec("UPDATE part SET v = 'x' WHERE id = 1; INSERT INTO part VALUES (4, '2020-07-07', 'a')");
  const next = await takeIncrement(copy.source, 'd', full);
  expect(next.layers['public.part']!.map(({kind}) => kind)).toEqual(['base', 'delta']);
});

/** Runs a statement of another session once, before the backup's first statement of a kind. */
function before(pattern: RegExp, database: TestDatabase, sql: string): void {
  const original = Connection.prototype.run;
  let isDue = true;
  const first = async function (this: Connection, statement: string) {
    if (isDue && pattern.test(statement)) {
      isDue = false;
      await database.exec(sql);
    }
    return original.call(this, statement);
  };
  vi.spyOn(Connection.prototype, 'run').mockImplementation(first as typeof original);
  onTestFinished(() => void vi.restoreAllMocks());
}

const joining = "CREATE TABLE part_b (LIKE part INCLUDING ALL); INSERT INTO part_b VALUES (7, '2021-05-05', 'b')";
const begin = /^BEGIN ISOLATION LEVEL REPEATABLE READ/u;

test.each([
  ['joins', attach('part_b', 2021)],
  ['leaves', 'ALTER TABLE part DETACH PARTITION part_a'],
])('a backup fits its rows when a partition %s after its schema was read', async (_, sql) => {
  const database = await filled(cluster(), `${schema} ${joining}`);
  before(begin, database, sql);
  const full = await takeFull(database.source, {tables: ['public.part']});
  const target = await filled(cluster(), 'SELECT 1');
  await restore(target.source, full);
  expect(await target.rows('part')).toEqual(await database.rows('part'));
});

test('a table that becomes a partition while the backup begins is not taken twice', async () => {
  const database = await filled(cluster(), `${schema} ${joining}`);
  before(begin, database, attach('part_b', 2021));
  await expect(takeFull(database.source, {tables: ['public.part', 'public.part_b']})).rejects.toMatchObject({
    code: 'SOURCE_LOCKED',
    message: 'table public.part_b became a partition of another one while the backup began',
  });
});

test.each([
  ['a partition left its table', 'ALTER TABLE part DETACH PARTITION part_a'],
  ['a table became a partition', attach('part_b', 2021)],
  ['a table was created', 'CREATE TABLE young (id int)'],
  ['a table was dropped', 'DROP TABLE part_b'],
])('a backup of the whole database lists its tables again if %s meanwhile', async (_, sql) => {
  const database = await filled(
    cluster(),
    `${schema} ${joining}; CREATE UNLOGGED TABLE fleeting (id int); CREATE TABLE above (id int);
    CREATE TABLE heir () INHERITS (above);
    CREATE VIEW seen AS SELECT 1; CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE SCHEMA _bkp;
    CREATE TABLE _bkp.mine (id int)`,
  );
  const listed = async () => (await database.source.describe('all')).map(({name}) => name);
  const taken = async (known: readonly string[]) => {
    const tables = known.filter((name) => name !== 'public.fleeting');
    return takeFull(database.source, {tables, known, objects: true});
  };
  const known = await listed();
  expect((await taken(known)).schemas).toHaveLength(5);
  before(begin, database, sql);
  await expect(taken(known)).rejects.toMatchObject({code: 'BUSY', retryable: true});
  await taken(await listed());
});

test('rows of a table that becomes a partition while its table is read end the backup', async () => {
  const database = await filled(cluster(), `${schema} ${joining}`);
  const snapshot = await database.source.snapshot({tables: ['public.part']});
  onTestFinished(() => snapshot.close());
  await database.exec(`CREATE TABLE young (LIKE part INCLUDING ALL); INSERT INTO young VALUES (9, '2024-04-04', 'y');
    ${attach('young', 2024)}`);
  expect(await snapshot.countRows('public.part')).toBe(2);
  await database.exec(attach('part_b', 2021));
  expect(await snapshot.countRows('public.part')).toBe(3);
  await expect(snapshot.confirm()).rejects.toMatchObject({
    code: 'SOURCE_LOCKED',
    message: 'public.part_b became a partition of public.part while the backup read the table',
  });
});

test('a young partition does not end the backup that reads its table', async () => {
  const database = await filled(cluster());
  const snapshot = await database.source.snapshot({tables: ['public.part']});
  onTestFinished(() => snapshot.close());
  await database.exec(`${joining}; ${attach('part_b', 2021)}`);
  expect(await snapshot.countRows('public.part')).toBe(2);
  await snapshot.confirm();
});
