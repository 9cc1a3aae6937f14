import {renameSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {backupsOf, createC, openDesk} from '../helpers/desk.ts';

test('two vaults that swap paths are never mistaken for each other', async () => {
  const desk = openDesk();
  const spare = join(desk.folder, 'spare');
  await desk.sql(createC(true));
  await desk.sqlWait('BACKUP c');
  renameSync(desk.cluster, spare);
  await desk.bkp('store', 'forget');
  await desk.sql(createC(true));
  // The first vault's index is cached under this path; the new vault must not use it.
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('VERIFY c');
  desk.exec("INSERT INTO orders VALUES (4, 40, 'four')");
  await desk.sqlWait('BACKUP c INCREMENTAL');

  renameSync(desk.cluster, join(desk.folder, 'second'));
  renameSync(spare, desk.cluster);
  await desk.sqlWait('VERIFY c');
  // The source has tracking for both collections, each with its own marks.
  await desk.sqlWait('BACKUP c INCREMENTAL');
  expect(await backupsOf(desk)).toHaveLength(2);
  const target = join(desk.folder, 'new.db');
  expect(await desk.bkp('--source', target, 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
  expect(desk.column('SELECT count(*) FROM orders', target)).toEqual([4]);
});
