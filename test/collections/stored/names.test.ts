import {expect, test} from 'vitest';
import {type BackupName, isBackupName, nextBackupName} from '../../../src/collections/stored/names.ts';

const backups = ['20261121120000Z_full', '20261121130000Z_incremental', '20261122080000Z_full'] as BackupName[];

test('a name is a valid time, and so is the next one', () => {
  expect(backups.every(isBackupName)).toBe(true);
  for (const odd of ['20261399999999Z_full', '20260229000000Z_full', '20261121240000Z_full', '20261121120000Z']) {
    expect(isBackupName(odd)).toBe(false);
  }
  expect(nextBackupName('full', Date.UTC(2026, 10, 21) * 1000, backups)).toBe('20261122080001Z_full');
  expect(() => nextBackupName('full', 1, ['99991231235959Z_full' as BackupName])).toThrow(/9999/);
});
