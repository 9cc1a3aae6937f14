import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {Backup} from '../../sources/layers.ts';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {Cluster, clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile(18);
const owner = 'c';
const tables = ['public.t', 'public.u'];

const schema = `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text);
  INSERT INTO t SELECT g, repeat('t', 500) FROM generate_series(1, 6000) g;
  INSERT INTO u SELECT g, repeat('u', 500) FROM generate_series(1, 6000) g`;

async function filled(on: Cluster = cluster()): Promise<TestDatabase> {
  const database = await on.create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  return database;
}

async function expectSame(backup: Backup, rows: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const target = await cluster().create();
  onTestFinished(() => target.close());
  await restore(target.source, backup);
  for (const [table, wanted] of Object.entries(rows)) expect(await target.rows(table)).toEqual(wanted);
}

test.each(['DROP TABLE u', 'TRUNCATE u', 'ALTER TABLE u ALTER v TYPE int USING 5'])(
  'a backup has all rows although another session gives %s while it reads',
  async (statement) => {
    const database = await filled();
    const before = {t: await database.rows('t'), u: await database.rows('u')};
    const other = await cluster().client(database.name);
    let running: Promise<unknown> | undefined;
    const meanwhile = () => {
      running ??= other.query(statement);
    };
    const full = await takeFull(database.source, {tables, track: {owner}, meanwhile});
    await running;
    await other.end();
    await expectSame(full, before);
    const increment = takeIncrement(database.source, owner, full);
    if (statement.startsWith('DROP')) {
      await expect(increment).rejects.toMatchObject({
        code: 'TABLE_NOT_FOUND',
        message: expect.stringContaining('public.u'),
      });
      return;
    }
    await expectSame(await increment, {t: before.t, u: await database.rows('u')});
  },
);

test.each([
  [
    'another table of that name',
    'ALTER TABLE u RENAME TO old; CREATE TABLE u (LIKE old INCLUDING ALL)',
    /change log began/,
  ],
  [
    'two tables that exchanged their names',
    'ALTER TABLE u RENAME TO x; ALTER TABLE t RENAME TO u; ALTER TABLE x RENAME TO t',
    /./,
  ],
  ['another key', 'ALTER TABLE u DROP CONSTRAINT u_pkey, ADD PRIMARY KEY (id, v)', /columns, its key/],
  ['another column', 'ALTER TABLE u ADD COLUMN w int DEFAULT 7', /columns/],
  ['another type of the key', 'DROP TRIGGER "~bkp_k" ON u; ALTER TABLE u ALTER id TYPE bigint', /columns/],
  [
    'a trigger that was disabled',
    'ALTER TABLE u DISABLE TRIGGER "~bkp_u"; CHANGE; ALTER TABLE u ENABLE TRIGGER "~bkp_u"',
    /triggers/,
  ],
  ['a trigger that is disabled', 'ALTER TABLE u DISABLE TRIGGER ALL', /triggers/],
  ['dropped triggers', 'DROP TRIGGER "~bkp_u" ON u; DROP TRIGGER "~bkp_k" ON u', /triggers/],
  ['a function that logs nothing', 'REPLACE', /triggers/],
  ['a function that was dropped', 'DROP FUNCTION LOG_new CASCADE', /triggers/],
])('an increment is right after %s', async (_, statement, why) => {
  const database = await filled();
  const full = await takeFull(database.source, {tables, track: {owner}});
  const change = "UPDATE u SET v = 'changed' WHERE id = 7";
  const log = (await database.rows("(SELECT '_bkp.log_' || 'u'::regclass::oid)"))[0]!.slice(1, -1);
  const replaced = `CREATE OR REPLACE FUNCTION ${log}_new() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RETURN NULL; END $$`;
  await database.exec(
    statement
      .replace('CHANGE', change)
      .replace('REPLACE', () => replaced)
      .replace('LOG', log),
  );
  await database.exec(change);
  const told: string[] = [];
  const increment = await takeIncrement(database.source, owner, full, {notice: (text) => told.push(text)});
  const rows = {t: await database.rows('t'), u: await database.rows('u')};
  await expectSame(increment, rows);
  expect(told).toContainEqual(expect.stringMatching(why));
  await database.exec("UPDATE u SET v = 'again' WHERE id = 9");
  const next = await takeIncrement(database.source, owner, increment);
  await expectSame(next, {u: await database.rows('u')});
});

test('a log that somebody empties by mistake refuses it', async () => {
  const database = await filled();
  await takeFull(database.source, {tables, track: {owner}});
  await database.exec("UPDATE u SET v = 'x' WHERE id = 1");
  const log = (await database.rows("(SELECT '_bkp.log_' || 'u'::regclass::oid)"))[0]!.slice(1, -1);
  for (const statement of [`DELETE FROM ${log}`, `TRUNCATE ${log}`, `UPDATE ${log} SET k0 = 2`]) {
    await expect(database.exec(statement)).rejects.toThrow('belongs to bkp');
  }
});

test('a server that is killed while a backup or an increment reads is an error that can be repeated', async () => {
  const own = new Cluster();
  await own.start();
  onTestFinished(() => own.stop());
  const database = await filled(own);
  const unavailable = {code: 'SOURCE_UNAVAILABLE', retryable: true, next: expect.stringContaining('psql')};
  const killed = async (work: (meanwhile: () => void) => Promise<unknown>) => {
    let killing: Promise<void> | undefined;
    const running = work(() => {
      killing ??= own.killHard();
    });
    await expect(running).rejects.toMatchObject(unavailable);
    await killing;
    await database.forget();
    own.launch();
  };
  const {source} = database;
  await killed((meanwhile) => takeFull(source, {tables, track: {owner}, meanwhile}));
  const again = () => {
    const fresh = database.named(database.name);
    onTestFinished(() => fresh.close());
    return fresh.source;
  };
  const full = await takeFull(again(), {tables, track: {owner}});
  await database.exec("UPDATE t SET v = 'x'");
  await killed((meanwhile) => takeIncrement(again(), owner, full, {meanwhile}));
  const increment = await takeIncrement(again(), owner, full);
  await expectSame(increment, {t: await database.rows('t')});
});

test('a standby that cancels the reading says what keeps it from that', async () => {
  const standby = await Cluster.standbyOf(cluster(), {max_standby_streaming_delay: '0'});
  onTestFinished(() => standby.stop());
  const database = await filled();
  const there = database.named(database.name, standby);
  onTestFinished(() => there.close());
  await expect.poll(() => there.rows('u').catch(() => [])).toHaveLength(6000);
  const snapshot = await there.source.snapshot({tables});
  onTestFinished(() => snapshot.close());
  await snapshot.countRows('public.t');
  await database.exec('DELETE FROM t WHERE id > 10; DELETE FROM u WHERE id > 10');
  await database.exec('VACUUM (FREEZE) t');
  await database.exec('VACUUM (FREEZE) u');
  const read = async () => {
    for (;;) await snapshot.countRows('public.t');
  };
  await expect(read()).rejects.toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    retryable: true,
    next: expect.stringContaining('hot_standby_feedback = on'),
  });
});

/** Both are in one package. */
const [older, newer] = [16, 18] as const;

test('after pg_upgrade, an increment takes all rows, and is right', async () => {
  const before = new Cluster(older);
  await before.start();
  onTestFinished(() => before.stop());
  const database = await filled(before);
  const full = await takeFull(database.source, {tables, track: {owner}});
  await database.exec("UPDATE t SET v = 'before' WHERE id = 1");
  await database.close();
  const after = new Cluster(newer);
  await after.prepare(['--no-data-checksums']);
  onTestFinished(() => after.stop());
  before.shutDown();
  after.run(
    'pg_upgrade',
    [
      ...['-b', before.bin, '-B', after.bin, '-d', join(before.folder, 'data'), '-D', join(after.folder, 'data')],
      ...['-U', 'postgres', '-s', join(after.folder, 's')],
    ],
    join(after.folder, 's'),
  );
  after.launch();
  const upgraded = database.named(database.name, after);
  onTestFinished(() => upgraded.close());
  await upgraded.exec("UPDATE t SET v = 'after' WHERE id = 2");
  const told: string[] = [];
  const increment = await takeIncrement(upgraded.source, owner, full, {notice: (text) => told.push(text)});
  await expectSame(increment, {t: await upgraded.rows('t'), u: await upgraded.rows('u')});
  expect(told).toHaveLength(2);
  const second = await takeFull(upgraded.source, {tables, track: {owner}, previous: full});
  await expectSame(second, {t: await upgraded.rows('t'), u: await upgraded.rows('u')});
});
