import {setTimeout as pause} from 'node:timers/promises';
import {expect, onTestFinished, test} from 'vitest';
import {operationRows} from '../../helpers/held-worker.ts';
import {type Backup, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile(18);
const tables = ['public.a', 'public.b', 'public.computed', 'public.late', 'public.parted'];

const schema = `
  CREATE TABLE a (id int PRIMARY KEY, v text UNIQUE DEFERRABLE); CREATE INDEX ON a (lower(v));
  CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a, next int REFERENCES b); CREATE INDEX by_a ON b (a);
  CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
  CREATE TABLE computed (id int PRIMARY KEY, f int UNIQUE GENERATED ALWAYS AS (f(id)) STORED);
  INSERT INTO computed SELECT generate_series(1, 5);
  CREATE TABLE late (id int PRIMARY KEY, what regclass);
  CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
  INSERT INTO a SELECT g, 'a' || g FROM generate_series(1, 500) g;
  INSERT INTO b (a, next) SELECT g, g FROM generate_series(1, 500) g;
  INSERT INTO late VALUES (1, 'a'), (2, 'b'); INSERT INTO parted SELECT generate_series(1, 500);`;
const change =
  "UPDATE a SET v = 'new' || id WHERE id % 7 = 0; DELETE FROM b WHERE id > 400; DELETE FROM parted WHERE id < 9;" +
  "CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 10 * $1';" +
  'INSERT INTO computed VALUES (6)';

async function created(): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  return database;
}

/** A backup of two layers, and its rows. */
async function taken(): Promise<{backup: Backup; rows: readonly (readonly string[])[]}> {
  const database = await created();
  await database.exec(schema);
  const full = await takeFull(database.source, {tables, track: {owner: 'c'}});
  await database.exec(change);
  const backup = await takeIncrement(database.source, 'c', full);
  return {backup, rows: await rowsOf(database)};
}

const rowsOf = (database: TestDatabase) => Promise.all(tables.map((table) => database.rows(table)));

/**
 * Restores until `most` calls have been made, and then ends as a killed process does.
 * @returns the tables that were not loaded, because they were there; undefined if it was killed
 */
async function restoreUntil(
  {source}: TestDatabase,
  {schemas, database, layers, contents}: Backup,
  {id, plan, most}: {id: string; plan: string; most: number},
): Promise<readonly string[] | undefined> {
  const staging = await source.stage(schemas, {id, database, plan});
  let left = most;
  const call = async (work: () => Promise<unknown> | undefined) => {
    left -= 1;
    if (left < 0) return;
    await work();
  };
  const completed = [...staging.completed!()];
  for (const [name, all] of Object.entries(layers)) {
    if (completed.includes(name)) continue;
    for (const layer of all) {
      if (layer.kind === 'base' && layer.form === 'records') throw new Error('not of PostgreSQL');
      if (layer.kind === 'delta') for (const {bytes} of layer.keys) await call(() => staging.removeKeys(name, bytes));
      const rows = layer.kind === 'delta' ? layer.rows : layer.segments;
      for (const {bytes} of rows) await call(() => staging.load(name, bytes));
    }
    await call(() => staging.complete!(name, new AbortController().signal));
  }
  const asked = {check: 'full', contentOf: new Set(tables)} as const;
  await call(async () => {
    for (const {name, content} of await staging.finish(asked)) expect(content, name).toEqual(contents.get(name));
  });
  await call(() => staging.publish({}));
  if (left < 0) return undefined;
  await staging.discard();
  return completed;
}

const stagings = "(SELECT DISTINCT left(nspname, 23) FROM pg_namespace WHERE nspname LIKE '\\_bkp%')";

/** Ends every session of the database as the end of a process does. */
async function endSessions(database: TestDatabase): Promise<void> {
  await database.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`);
  await expect
    .poll(() =>
      database.rows(
        "(SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'bkp%' AND datname = current_database())",
      ),
    )
    .toEqual([]);
}

test('a restore that is killed after any call is continued by tables, and its result is the backup', async () => {
  const {backup, rows} = await taken();
  const seen = new Set<number>();
  for (let most = 0; ; most++) {
    const database = await created();
    // The server then refuses to change rows of a table without a replica identity.
    await database.exec('CREATE PUBLICATION every FOR ALL TABLES');
    const first = database.with({});
    const killed = await restoreUntil(database.named(database.name), backup, {id: 'first', plan: 'p', most});
    await first.close();
    if (killed !== undefined) {
      expect(most).toBeGreaterThan(10);
      break;
    }
    await endSessions(database);
    const again = database.named(database.name);
    onTestFinished(() => again.close());
    expect(await again.source.discardStaging('first', {unlessContinuable: true})).toBe(
      (await database.rows(stagings)).length > 0,
    );
    const completed = await restoreUntil(again, backup, {id: 'second', plan: 'p', most: 1000});
    seen.add(completed!.length);
    expect(await rowsOf(database), `killed after ${most} calls`).toEqual(rows);
    expect(await database.rows(stagings)).toEqual([]);
    await expect(database.exec('INSERT INTO b (a) VALUES (9999)')).rejects.toThrow('foreign key');
    await database.exec('INSERT INTO b (a) VALUES (1)');
  }
  expect([...seen]).toEqual([0, 1, 2, 3, 4, 5]);
});

test('what a killed restore of another plan left is removed, and what a running one has is left alone', async () => {
  const {backup, rows} = await taken();
  const database = await created();
  await restoreUntil(database, backup, {id: 'running', plan: 'p', most: 6});
  const other = database.named(database.name);
  onTestFinished(() => other.close());
  const held = await other.source.stage(backup.schemas, {id: 'other', database: backup.database, plan: 'p'});
  expect([...held.completed!()]).toEqual([]);
  expect(await database.rows(stagings)).toHaveLength(2);
  await held.discard();
  await endSessions(database);
  const third = database.named(database.name);
  onTestFinished(() => third.close());
  expect(await restoreUntil(third, backup, {id: 'third', plan: 'another', most: 1000})).toEqual([]);
  expect(await database.rows(stagings)).toEqual([]);
  expect(await rowsOf(database)).toEqual(rows);
});

test('rows that a crash took from an unlogged table are loaded again', async () => {
  const source = await created();
  await source.exec('CREATE UNLOGGED TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id int)');
  const backup = await takeFull(source.source, {tables: ['public.a', 'public.b']});
  const database = await created();
  await restoreUntil(database, backup, {id: 'first', plan: 'p', most: 3}).catch(() => {});
  await endSessions(database);
  const [name] = await database.rows("(SELECT n.nspname FROM pg_namespace n WHERE nspname LIKE '\\_bkp_stage%')");
  await database.exec(`TRUNCATE ${name!.slice(1, -1)}.a`);
  const again = database.named(database.name);
  onTestFinished(() => again.close());
  expect(await restoreUntil(again, backup, {id: 'second', plan: 'p', most: 1000})).toEqual([]);
  expect(await database.rows('a')).toEqual(['(1)']);
});

test('the same statement continues a restore whose worker was killed while it built an index', async () => {
  const database = await created();
  await database.exec(schema);
  const target = await created();
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c (TABLE a, TABLE b) WITH (STORAGE='cluster')");
  await done('sql', '--wait', 'BACKUP c');
  // The index of `b` waits for the test; `a` has one too, with another statement.
  await target.exec(`CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN IF current_query() LIKE '%by_a%' THEN PERFORM pg_advisory_xact_lock(1); END IF; END $$;
    CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait()`);
  await target.exec('SELECT pg_advisory_lock(1)');
  const restoring = ['--source', addressOf(cluster(), target.name), 'sql'];
  await done(...restoring, 'RESTORE c');
  const {pid} = operationRows(desk.home).at(-1)!;
  const waiting = "(SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted)";
  await expect.poll(() => target.rows(waiting)).toHaveLength(1);
  const staging = (
    await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp_stage%')")
  )[0]!.slice(1, -1);
  await expect.poll(() => target.rows(`(SELECT name FROM ${staging}._bkp_done)`)).toEqual(['(public.a)']);
  const oid = await target.rows(`(SELECT '${staging}.a'::regclass::oid)`);
  process.kill(pid!, 'SIGKILL');
  await pause(100);
  expect((await desk.bkp('operation', 'get', 'last')).stdout).toContain('the same statement continues there');
  await target.exec('SELECT pg_advisory_unlock(1)');
  await done(...restoring, '--wait', 'RESTORE c');
  expect(await target.rows("(SELECT 'a'::regclass::oid)")).toEqual(oid);
  for (const table of ['a', 'b']) expect(await target.rows(table)).toEqual(await database.rows(table));
  expect(await target.rows(stagings)).toEqual([]);
});
