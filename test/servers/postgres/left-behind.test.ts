import {join} from 'node:path';
import {expect, test} from 'vitest';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest} from './cluster.ts';

const cluster = clusterOfFile(18);

test('a backup names tables that come back without their access method or tablespace', async () => {
  const place = join(cluster().folder, 'place');
  cluster().own(place);
  const database = await databaseOfTest(
    cluster(),
    `CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler;
     CREATE TABLE t (id int PRIMARY KEY) USING other; CREATE TABLE u (id int PRIMARY KEY)`,
  );
  await database.exec(`CREATE TABLESPACE fast LOCATION '${place}'`);
  await database.exec('CREATE INDEX i ON u (id) TABLESPACE fast');
  const backup = await takeFull(database.source, {tables: ['public.t', 'public.u'], objects: true});
  expect(backup.database.without).toBe(
    'access methods of tables are not in a backup: public.t (other)\n' +
      'tablespaces of tables and indexes are not in a backup: public.i (fast)',
  );
  const named = await takeFull(database.source, {tables: ['public.u']});
  expect(named.database.without).toBe('tablespaces of tables and indexes are not in a backup: public.i (fast)');
  expect(await database.source.leftBehind(['t', 'absent'])).toEqual([
    'access methods of tables are not in a backup: public.t (other)',
  ]);
});
