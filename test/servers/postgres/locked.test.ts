import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {expect, onTestFinished, test} from 'vitest';
import {connect} from '../../../src/sources/postgres/connection/connect.ts';
import {resolveConnection} from '../../../src/sources/postgres/connection/resolve.ts';
import {tellHeldUp} from '../../../src/sources/postgres/snapshot/held-up.ts';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

const cluster = clusterOfFile(18);

test.each(['plain', 'tracked', 'describe'] as const)(
  'a table that another session has locked is an error after lockTimeout, and no longer once it is free: %s',
  async (how) => {
    const database = await cluster().create();
    onTestFinished(() => database.close());
    await database.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a');
      CREATE TABLE other (id int PRIMARY KEY)`);
    const blocker = await cluster().client(database.name);
    onTestFinished(() => blocker.end());
    const source = database.with({lockTimeout: 1});
    onTestFinished(() => source.close());
    const options = {tables: ['public.t'], ...(how === 'tracked' ? {track: {owner: 'c'}} : {})};
    const work = async () => (how === 'describe' ? source.describe(['public.t']) : takeFull(source, options));
    await blocker.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');

    await expect(work()).rejects.toMatchObject({code: 'SOURCE_LOCKED'});
    await takeFull(source, {tables: ['public.other']});
    await blocker.query('ROLLBACK');
    await work();
  },
);

test('a backup names who waited for its locks, and how long VACUUM waited for its snapshot', async () => {
  const database = await databaseOfTest(
    cluster(),
    `CREATE ROLE watched LOGIN; CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO watched`,
  );
  const migration = await cluster().client(database.name);
  const source = database.as('watched');
  onTestFinished(async () => {
    await source.close();
    await migration.end();
  });
  const notices: string[] = [];
  const snapshot = await source.snapshot({tables: ['public.t'], notice: (text) => notices.push(text)});
  const altered = migration.query('ALTER TABLE t ADD v int');
  const waiting = "(SELECT pid FROM pg_locks WHERE NOT granted AND clock_timestamp() - waitstart > '5 s')";
  await expect.poll(() => database.rows(waiting)).toHaveLength(1);
  await snapshot.confirm();
  await altered;
  await snapshot.close();
  expect(notices).toEqual([
    expect.stringMatching(/^process \d+( \(\w+ \w+\))? waited .+ for this backup to read its tables$/u),
  ]);
  const quick = await source.snapshot({tables: ['public.t'], notice: (text) => notices.push(text)});
  await quick.confirm();
  await quick.close();
  expect(notices).toHaveLength(1);
});

test('a snapshot that was open for long says what VACUUM could not do', async () => {
  const database = await databaseOfTest(cluster(), 'CREATE TABLE t (id int PRIMARY KEY)');
  const notices: string[] = [];
  const tell = (open: number) => tellHeldUp(connection, (text) => void notices.push(text), {waited: 5, open});
  const {folder, port} = cluster();
  const parameters = {host: join(folder, 's'), port: String(port), user: 'postgres', dbname: database.name};
  const connection = await connect(resolveConnection(parameters, {env: {}}), 'bkp test');
  onTestFinished(() => connection.close());
  await connection.run('BEGIN');
  await pause(1_100);
  await tell(3600);
  expect(notices).toEqual([]);
  await tell(1);
  expect(notices).toEqual([
    'the snapshot was open for 1 s, in which VACUUM could remove no row that was deleted or changed',
  ]);
});
