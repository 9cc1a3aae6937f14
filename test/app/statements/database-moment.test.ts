import {expect, test} from 'vitest';
import {backupAt} from '../../../src/app/statements/database-moment.ts';
import {listDatabaseBackups} from '../../../src/database/index.ts';
import {microsText} from '../../../src/lib/time.ts';
import {FakeDatabase, takeBackup} from '../../database/fakes.ts';
import {newStore, open} from '../../vault/helpers.ts';

test('a time that is no timestamp of a backup says until when the selected backup goes', async () => {
  const vault = await open(newStore());
  const database = new FakeDatabase();
  database.set('db/tables.d.0', 'trades');
  const moment = Date.now() * 1000 + 123;
  database.takenAtMicros = moment;
  await takeBackup(vault, database);
  const {timestampMicros, instance} = (await listDatabaseBackups(vault))[0]!;
  const deps = {settings: async () => ({}), env: {}, nowMicros: () => moment} as never;
  const noticeAt = async (micros: number) =>
    (await backupAt(deps, {place: undefined as never, vault}, {instance, timestamp: microsText(micros)})).notice;
  expect(await noticeAt(timestampMicros)).toBeUndefined();
  expect(await noticeAt(moment)).toBeUndefined();
  expect(await noticeAt(moment + 1)).toBe(
    `no backup has the timestamp ${microsText(moment + 1)}: the newest one before it is ` +
      `${microsText(timestampMicros)}, which contains what was committed until ${microsText(moment)}`,
  );
});
