import {expect, test} from 'vitest';
import {type BackupName, findBackup, isBackupName, nextBackupName} from '../../src/collections/names.ts';

const backups = ['20261121120000Z_full', '20261121130000Z_incremental', '20261122080000Z_full'] as BackupName[];

test.each([
  ['20261121130000Z_incremental', '20261121130000Z_incremental'],
  ['20261121130000Z', '20261121130000Z_incremental'],
  ['2026-11-21T13:00:00Z', '20261121130000Z_incremental'],
  ['2026-11-21 12:59:59', '20261121120000Z_full'],
  ['2026-11-21T12:00:00.000000Z', '20261121120000Z_full'],
  ['2026-11-21T14:30+02:00', '20261121120000Z_full'],
  ['2026-11-22', '20261121130000Z_incremental'],
  ['2099-01-01', '20261122080000Z_full'],
])('AT %j is %s', (point, found) => {
  expect(findBackup('c', backups, point)).toBe(found);
});

test.each(['2026-11-21T11:59:59Z', '20261121120001Z', '2026-13-01', 'yesterday', ''])('AT %j is none', (point) => {
  expect(() => findBackup('c', backups, point)).toThrow(expect.objectContaining({code: 'BACKUP_NOT_FOUND'}));
});

test('a name is a moment of the calendar, and the next one always is', () => {
  expect(backups.every(isBackupName)).toBe(true);
  for (const odd of ['20261399999999Z_full', '20260229000000Z_full', '20261121240000Z_full', '20261121120000Z']) {
    expect(isBackupName(odd)).toBe(false);
  }
  expect(nextBackupName('full', Date.UTC(2026, 10, 21) * 1000, backups)).toBe('20261122080001Z_full');
  expect(() => nextBackupName('full', 1, ['99991231235959Z_full' as BackupName])).toThrow(/9999/);
});
