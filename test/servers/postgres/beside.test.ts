import {expect, onTestFinished, test} from 'vitest';
import type {DeltaStream} from '../../../src/sources/index.ts';
import type {PostgresSource} from '../../../src/sources/postgres/index.ts';
import {type Backup, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';
import {compared} from './increments.ts';

const cluster = clusterOfFile(18);
const owner = 'collection-1';
const names = ['a', 'b', 'c', 'd'];
const tables = names.map((name) => `public.${name}`);

/** Of each table, more is changed below than may wait in memory for its turn. */
const schema = `${names
  .map(
    (name) => `CREATE TABLE ${name} (id int PRIMARY KEY, pad text NOT NULL);
      INSERT INTO ${name} SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 16000) g;`,
  )
  .join('\n')}`;
const changed = names
  .map((name) => `UPDATE ${name} SET pad = '${name}' || pad WHERE id % 2 = 0; DELETE FROM ${name} WHERE id % 100 = 1;`)
  .join('\n');

async function created(): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  return database;
}

async function changedSince(source: (database: TestDatabase) => PostgresSource = ({source}) => source) {
  const database = await created();
  await database.exec(schema);
  const own = source(database);
  onTestFinished(() => own.close());
  const full = await takeFull(own, {tables, track: {owner}});
  await own.acknowledge(owner, full.mark!);
  await database.exec(changed);
  return {database, source: own, full};
}

const snapshotSince = (source: PostgresSource, full: Backup) =>
  source.snapshot({
    tables,
    track: {owner},
    since: {
      owner,
      mark: full.mark!,
      fingerprints: Object.fromEntries(full.schemas.map((table) => [table.name, table.fingerprint])),
    },
  });

/** Sessions of the backup in the database. */
const sessions =
  "(SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bkp backup')";

async function taken({keys, rows}: DeltaStream): Promise<{keys: number; rows: number}> {
  const counted = {keys: 0, rows: 0};
  for (const [of, segments] of [
    ['keys', keys],
    ['rows', rows],
  ] as const) {
    for await (const segment of segments) {
      counted[of] += segment.rows;
      if ('release' in segment) (segment.release as () => void)();
    }
  }
  return counted;
}

const expected = {keys: 8160, rows: 8000};

test.each([1, 2, 3])('an increment on %i connections has the changes of all tables', async (connections) => {
  const {source, full} = await changedSince((database) => database.with({connections}));
  const snapshot = await snapshotSince(source, full);
  try {
    expect(snapshot.tablesAtOnce).toBe(connections);
    const begun: DeltaStream[] = [];
    for (const table of tables.slice(0, connections)) {
      const changes = await snapshot.changes(table, full.mark!);
      if (changes !== 'rebase') begun.push(changes.read());
    }
    // The first one is taken while nothing takes the others.
    expect(await taken(begun[0]!)).toEqual(expected);
    for (const delta of begun.slice(1)) expect(await taken(delta)).toEqual(expected);
  } finally {
    await snapshot.close();
  }
  expect(await compared(source, full)).toMatchObject({lost: []});
});

const opened = async (options: {connections?: number}, limit = -1) => {
  const database = await created();
  const role = `reads_${database.name}`;
  await database.exec(`${schema} CREATE ROLE ${role} LOGIN CONNECTION LIMIT ${limit};
    GRANT pg_read_all_data TO ${role};`);
  const source = database.with(options, {user: role});
  onTestFinished(() => source.close());
  await source.describe('all');
  const snapshot = await source.snapshot({tables});
  onTestFinished(() => snapshot.close());
  return (await database.rows(sessions)).length;
};

test.each([
  [{}, 3],
  [{connections: 2}, 2],
  [{connections: 4}, 4],
] as const)('a full backup with %o has %i readers beside its first connection', async (options, readers) => {
  expect(await opened(options)).toBe(1 + readers);
});

test('a full backup has fewer readers where a role may not open all of them', async () => {
  // One stays open beside those of the backup, and that of pg_dump may be about to end.
  const sessions = await opened({connections: 4}, 5);
  expect(sessions).toBeGreaterThan(1);
  expect(sessions).toBeLessThan(5);
});

test('few changes need no other connection', async () => {
  const database = await created();
  await database.exec(schema);
  const full = await takeFull(database.source, {tables, track: {owner}});
  await database.exec('UPDATE a SET pad = $$$$ WHERE id < 100');
  const snapshot = await snapshotSince(database.source, full);
  expect(snapshot.tablesAtOnce).toBe(1);
  await snapshot.close();
});

test('a role that may not open all connections takes the same increment on fewer', async () => {
  const database = await created();
  const role = `few_${database.name}`;
  await database.exec(`${schema} CREATE ROLE ${role} LOGIN CONNECTION LIMIT 3;
    GRANT CREATE ON DATABASE ${database.name} TO ${role};
    ${names.map((name) => `ALTER TABLE ${name} OWNER TO ${role};`).join(' ')}`);
  // One connection stays open beside that of a backup and that of pg_dump.
  const source = database.with({connections: 3}, {user: role});
  onTestFinished(() => source.close());
  const full = await takeFull(source, {tables, track: {owner}});
  await source.acknowledge(owner, full.mark!);
  await database.exec(changed);
  const snapshot = await snapshotSince(source, full);
  // One that has ended may still count.
  expect([1, 2]).toContain(snapshot.tablesAtOnce);
  await snapshot.close();
  expect(await compared(source, full)).toMatchObject({lost: []});
});

test('the loss of one of several connections fails the increment, and the next one has everything', async () => {
  const {database, source, full} = await changedSince((one) => one.with({connections: 2}));
  const snapshot = await snapshotSince(source, full);
  const [a, b] = await Promise.all(tables.slice(0, 2).map((table) => snapshot.changes(table, full.mark!)));
  if (a === 'rebase' || b === 'rebase') throw new Error('the log is complete');
  const [first, second] = [a!.read(), b!.read()];
  // Only those that send rows, which wait until they are taken.
  await expect.poll(() => database.rows(`${sessions.slice(0, -1)} AND wait_event = 'ClientWrite')`)).toHaveLength(2);
  await database.exec(`SELECT pg_terminate_backend(max(pid)) FROM ${sessions} s`);
  const outcomes = [];
  for (const delta of [first, second]) outcomes.push(await taken(delta!).catch((error: Error) => error));
  expect(outcomes.filter((outcome) => outcome instanceof Error)).toHaveLength(1);
  expect(outcomes.find((outcome) => outcome instanceof Error)).toMatchObject({code: 'SOURCE_UNAVAILABLE'});
  await snapshot.close();
  await expect.poll(() => database.rows(sessions)).toEqual([]);
  expect(await compared(source, full)).toMatchObject({lost: []});
});

test('changes that nobody takes any more keep no connection', async () => {
  const {database, source, full} = await changedSince();
  const snapshot = await snapshotSince(source, full);
  for (const table of tables.slice(0, 2)) {
    const changes = await snapshot.changes(table, full.mark!);
    if (changes !== 'rebase') changes.read();
  }
  await snapshot.close();
  await expect.poll(() => database.rows(sessions)).toEqual([]);
  expect(await takeIncrement(source, owner, full)).toMatchObject({mark: expect.any(String)});
});

test('an increment in which tables join, begin again and change is restored as the tables were', async () => {
  const database = await created();
  await database.exec(schema);
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  for (const step of [
    changed,
    `${changed} TRUNCATE b; INSERT INTO b SELECT g, repeat(md5(g::text), 40) FROM generate_series(1, 9000) g`,
    `${changed} CREATE TABLE bb AS SELECT * FROM c; ALTER TABLE bb ADD PRIMARY KEY (id)`,
    `${changed} ALTER TABLE c ADD COLUMN more int DEFAULT 7`,
    ...Array.from({length: 8}, () => changed),
  ]) {
    await database.exec(step);
    await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  }
  const target = await created();
  const source = `host=${cluster().folder}/s port=${cluster().port} user=postgres dbname=${target.name}`;
  await done('--source', source, 'sql', '--wait', 'RESTORE c');
  for (const name of [...names, 'bb']) expect(await target.rows(name), name).toEqual(await database.rows(name));
});
