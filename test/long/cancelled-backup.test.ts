import {expect, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

test('a cancelled backup is not listed, and the chain continues with the next backups', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql("CREATE BACKUP COLLECTION c (TABLE big) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await whileHeld(desk, {give: () => desk.sql('BACKUP c'), at: 'moving'}, async () => {
    expect(await desk.bkp('operation', 'cancel', 'last')).toMatchObject({status: 0, stdout: '', stderr: ''});
  });
  const waited = await desk.bkp('operation', 'wait', '1');
  expect(waited.status).toBe(1);
  expect(waited.stdout).toContain('CANCELLED');
  expect((await desk.bkp('sql', 'SHOW BACKUPS IN c')).stdout).not.toContain('_full');
  await desk.sqlWait('BACKUP c');
  desk.exec('UPDATE big SET note = 1 WHERE id = 7');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  desk.exec('DROP TABLE big');
  await desk.sqlWait('RESTORE c');
  expect(desk.column('SELECT note FROM big WHERE id = 7')).toEqual([1]);
});
