import {readdirSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {folderBytes} from '../../../bench/measure.ts';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile(18);

test('a second full backup takes over what is the same and intact, and restores', async () => {
  const database = await cluster().create();
  const target = await cluster().create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(`CREATE TABLE shop (id int PRIMARY KEY, n int, pad text);
    INSERT INTO shop SELECT g, 0, md5(g::text) || md5((-g)::text) || repeat('x', 400)
      FROM generate_series(1, 60000) g`);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  const stored = () => folderBytes(desk.cluster);
  await done(
    'sql',
    "CREATE BACKUP COLLECTION c (TABLE shop) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')",
  );
  await done('sql', '--wait', 'BACKUP c');
  await database.exec('UPDATE shop SET n = 1 WHERE id = 30000');
  const first = stored();
  await done('sql', '--wait', 'BACKUP c');
  expect(stored() - first).toBeLessThan(first / 10);
  // A pack with data is lost, and a verification notes it.
  const packs = join(desk.cluster, 'packs');
  const [largest] = readdirSync(packs, {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
  writeFileSync(largest!, 'not a pack');
  expect((await desk.bkp('sql', '--wait', 'VERIFY c')).status).not.toBe(0);
  await done('sql', '--wait', 'BACKUP c');
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('shop')).toEqual(await database.rows('shop'));
});

test('a table of which nothing has changed is counted once, by no index', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE TABLE shop (id int PRIMARY KEY, pad text);
    INSERT INTO shop SELECT g, md5(g::text) || repeat('x', 400) FROM generate_series(1, 60000) g`);
  const {desk, done} = openPostgresDesk(cluster(), database.name);
  const settings = "STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true'";
  await done('sql', `CREATE BACKUP COLLECTION c (TABLE shop) WITH (${settings})`);
  await done('sql', '--wait', 'BACKUP c');
  /** How often bkp has read the table by its key, and all of it. */
  const scans = async () => {
    const [row] = await database.rows(
      "(SELECT idx_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'shop')",
    );
    return row!.slice(1, -1).split(',').map(Number) as [number, number];
  };
  const [keyBefore, rowsBefore] = await scans();
  const stored = folderBytes(desk.cluster);
  await done('sql', '--wait', 'BACKUP c');
  expect(folderBytes(desk.cluster) - stored).toBeLessThan(20_000);
  const [key, rows] = await scans();
  expect([key - keyBefore, rows - rowsBefore]).toEqual([0, 60_000]);
  // After a change, ranges are counted.
  await database.exec('DELETE FROM shop WHERE id = 7');
  await done('sql', '--wait', 'BACKUP c');
  expect((await scans())[0]).toBeGreaterThan(key + 10);
});
