import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {startToxiproxy, type Toxiproxy} from '../toxiproxy.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';

const cluster = clusterOfFile();
let toxiproxy: Toxiproxy;

beforeAll(async () => {
  toxiproxy = await startToxiproxy();
});
afterAll(() => toxiproxy?.stop());

// A server on another continent, behind a thin line: each answer comes late, in pieces that end anywhere.
test('over a slow line with a long delay everything is right, and no server that answers is given up', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  // The index is built without a word of the server for longer than bkp waits before it asks.
  await database.exec(`
    CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_catalog.pg_sleep(CASE WHEN n % 4000 = 1 THEN 1.5 ELSE 0 END); RETURN n; END $$;
    CREATE TABLE keyed (id int PRIMARY KEY, note text);
    CREATE INDEX ON keyed (slow(id));
    CREATE TABLE wide (id int PRIMARY KEY, note text);
    INSERT INTO keyed SELECT g, repeat('k', 100) FROM generate_series(1, 8000) g;
    INSERT INTO wide SELECT g, repeat('l', 300000) FROM generate_series(1, 3) g`);
  const line = await toxiproxy.line(cluster());
  for (const stream of ['upstream', 'downstream'] as const) {
    await line.add({type: 'latency', attributes: {latency: 30, jitter: 20}}, {stream});
    await line.add({type: 'bandwidth', attributes: {rate: 500}}, {stream});
    await line.add({type: 'slicer', attributes: {average_size: 900, size_variation: 800, delay: 10}}, {stream});
  }
  const {port} = new URL(line.endpoint);
  const behind = (one: TestDatabase) => {
    const source = one.with({quietMs: 2000}, {host: '127.0.0.1', port, connect_timeout: '60'});
    onTestFinished(() => source.close());
    return source;
  };
  const tables = ['public.keyed', 'public.wide'];
  const full = await takeFull(behind(database), {tables, track: {owner: 'c'}});
  await database.exec("UPDATE keyed SET note = 'changed' WHERE id % 100 = 2; DELETE FROM keyed WHERE id % 100 = 3");
  const increment = await takeIncrement(behind(database), 'c', full);
  await restore(behind(target), increment);
  for (const table of tables) expect(await target.rows(table), table).toEqual(await database.rows(table));
});
