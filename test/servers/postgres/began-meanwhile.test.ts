import {expect, onTestFinished, test, vi} from 'vitest';
import {clusterOfFile} from './cluster.ts';

// A migration that comes between the listing of the tables and the snapshot: the backup begins again, which the caller
// does for a database that is busy.

const cluster = clusterOfFile(18);

const held = "(SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";

test.each([
  ['a table is dropped', 'DROP TABLE u', 'tables were created, dropped, attached or detached'],
  ['a table is renamed', 'ALTER TABLE u RENAME TO v', 'tables were created, dropped, attached or detached'],
  [
    'tables exchange their names',
    'ALTER TABLE u RENAME TO v; ALTER TABLE w RENAME TO u; ALTER TABLE v RENAME TO w',
    'the key or the name of public.u was changed',
  ],
  ['a key is dropped', 'ALTER TABLE u DROP CONSTRAINT u_pkey', 'the key or the name of public.u was changed'],
])('%s while tracking waits for a lock', async (_, migration, message) => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(
    `CREATE TABLE u (id int PRIMARY KEY, k int NOT NULL); CREATE TABLE w (id int PRIMARY KEY, k int NOT NULL)`,
  );
  const other = await cluster().client(database.name);
  onTestFinished(() => other.end());
  await other.query(`BEGIN; ${migration}`);
  const known = ['public.u', 'public.w'];
  const opened = database.source.snapshot({tables: known, known, track: {owner: 'c'}});
  const refused = expect(opened).rejects.toMatchObject({code: 'BUSY', message: expect.stringContaining(message)});
  await vi.waitUntil(async () => (await database.rows(held)).length > 0, {timeout: 60_000});
  await other.query('COMMIT');
  await refused;
  expect(await database.rows("(SELECT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '~bkp%')")).toEqual([]);
});
