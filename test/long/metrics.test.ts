import {readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {startFakeS3} from '../helpers/fake-s3.ts';
import {readMetrics, sampleOf} from '../helpers/prometheus.ts';

async function metrics(desk: Desk, status = 0) {
  const result = await desk.bkp('metrics');
  expect(result.status, result.stderr).toBe(status);
  return {read: readMetrics(result.stdout), err: result.stderr};
}

/** The timestamp in a backup's name, in seconds since 1970. */
const takenAt = (backup: string) =>
  Date.parse(backup.replace(/^(....)(..)(..)(..)(..)(..)Z.*$/, '$1-$2-$3T$4:$5:$6Z')) / 1000;

test('metrics show the newest good backup and the journal’s facts; a damaged manifest makes it older', async () => {
  const desk = openDesk();
  await desk.sql(createC(true));
  const labels = {collection: 'c', storage: 'cluster'};
  const {read: empty} = await metrics(desk);
  expect(sampleOf(empty, 'bkp_collection_backups', labels)).toBe(0);
  expect(empty.has('bkp_collection_newest_backup_timestamp_seconds')).toBe(false);

  await desk.sqlWait('BACKUP c');
  desk.exec("UPDATE orders SET txt = 'changed' WHERE id = 2");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [full = '', increment = ''] = await backupsOf(desk);
  const {read} = await metrics(desk);
  expect(sampleOf(read, 'bkp_store_reachable')).toBe(1);
  expect(sampleOf(read, 'bkp_store_collections')).toBe(1);
  expect(sampleOf(read, 'bkp_collection_backups', labels)).toBe(2);
  expect(sampleOf(read, 'bkp_collection_unreadable_backups', labels)).toBe(0);
  expect(sampleOf(read, 'bkp_collection_newest_backup_timestamp_seconds', labels)).toBeCloseTo(takenAt(increment), -1);
  expect(sampleOf(read, 'bkp_collection_newest_backup_age_seconds', labels)).toBeLessThan(600);
  expect(sampleOf(read, 'bkp_collection_newest_backup_stored_bytes', labels)).toBeGreaterThan(0);
  expect(sampleOf(read, 'bkp_operation_last_succeeded', {collection: 'c', kind: 'incbackup'})).toBe(1);
  expect(sampleOf(read, 'bkp_operation_last_success_stored_bytes', {kind: 'fullbackup'})).toBeGreaterThan(0);
  expect(sampleOf(read, 'bkp_operation_last_success_duration_seconds', {kind: 'fullbackup'})).toBeGreaterThan(0);

  writeFileSync(join(desk.cluster, `.backups/collections/c/${increment}/manifest`), 'x');
  rmSync(join(desk.home, 'cache'), {recursive: true});
  const {read: damaged} = await metrics(desk);
  expect(sampleOf(damaged, 'bkp_collection_newest_backup_timestamp_seconds', labels)).toBeCloseTo(takenAt(full), -1);
  expect(sampleOf(damaged, 'bkp_collection_unreadable_backups', labels)).toBe(1);
});

test('the bucket and the directory have their own metrics, and an unreachable store is reported as such', async () => {
  const server = await startFakeS3({});
  onTestFinished(() => server.close());
  const address =
    `s3::bucket=${server.bucket};region=us-east-1;endpoint=${server.endpoint};root=shop;` +
    'access_key_id=AKIATEST;secret_access_key=S3CRET;';
  const desk = openDesk(undefined, {BKP_STORE: address});
  await desk.sql(createC(false));
  await desk.sql(createC(false).replace("'cluster'", "'s3'").replace('COLLECTION c', 'COLLECTION d'));
  await desk.sqlWait('BACKUP d');
  const {read} = await metrics(desk);
  expect(sampleOf(read, 'bkp_collection_backups', {collection: 'c', storage: 'cluster'})).toBe(0);
  expect(sampleOf(read, 'bkp_collection_backups', {collection: 'd', storage: 's3'})).toBe(1);

  const file = join(desk.folder, 'bkp.prom');
  const written = await desk.bkp('--store', 's3', 'metrics', '--textfile', file);
  expect(written).toMatchObject({status: 0, stdout: '', stderr: ''});
  expect(sampleOf(readMetrics(readFileSync(file, 'utf8')), 'bkp_store_reachable')).toBe(1);
  for (const key of server.objects.keys()) server.objects.delete(key);
  const {read: emptied, err} = await metrics(desk, 3);
  expect(sampleOf(emptied, 'bkp_store_reachable', {storage: 's3'})).toBe(0);
  expect(sampleOf(emptied, 'bkp_operation_last_succeeded', {collection: 'd', kind: 'fullbackup'})).toBe(1);
  expect(err).toContain('but there was one before');
});

test('databases have age, size and count by instance name; a damaged manifest makes the newest older', async () => {
  const desk = openDesk(undefined, {BKP_STORE: 'fs::root=./store'});
  await desk.sqlWait('BACKUP DATABASE');
  desk.exec("UPDATE orders SET txt = 'changed' WHERE id = 2");
  await desk.sqlWait('BACKUP DATABASE');
  const [row] = (await desk.sql('SELECT backup_instance_name')).trim().split('\n').slice(-1);
  const labels = {database_instance: row!.trim(), storage: 's3'};
  const {read} = await metrics(desk);
  expect(sampleOf(read, 'bkp_database_backups', labels)).toBe(2);
  expect(sampleOf(read, 'bkp_database_unreadable_backups', labels)).toBe(0);
  expect(sampleOf(read, 'bkp_database_newest_backup_age_seconds', labels)).toBeLessThan(600);
  expect(sampleOf(read, 'bkp_database_newest_backup_logical_bytes', labels)).toBe(statSync(desk.database).size);
  expect(sampleOf(read, 'bkp_database_newest_backup_stored_bytes', labels)).toBeGreaterThan(0);
  expect(sampleOf(read, 'bkp_operation_last_succeeded', {database: `sqlite::path=${desk.database}`})).toBe(1);
  const newest = sampleOf(read, 'bkp_database_newest_backup_timestamp_seconds', labels)!;

  const store = join(desk.folder, 'store/backup', labels.database_instance);
  const [, last] = readdirSync(store)
    .filter((name) => name !== 'instance')
    .sort();
  writeFileSync(join(store, last!, 'manifest'), 'x');
  rmSync(join(desk.home, 'cache'), {recursive: true});
  const {read: damaged} = await metrics(desk);
  expect(sampleOf(damaged, 'bkp_database_newest_backup_timestamp_seconds', labels)).toBeLessThan(newest);
  expect(sampleOf(damaged, 'bkp_database_unreadable_backups', labels)).toBe(1);
});
