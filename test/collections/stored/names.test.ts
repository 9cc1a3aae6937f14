import {expect, test} from 'vitest';
import {type BackupName, backupTime, isBackupName, nextBackupName} from '../../../src/collections/stored/names.ts';

const backups = ['20261121120000Z_full', '20261121130000Z_incremental', '20261122080000Z_full'] as BackupName[];

test('a name is a time of the calendar, as Date counts it', () => {
  const pad = (part: number, digits = 2) => String(part).padStart(digits, '0');
  for (const year of [0, 1900, 2000, 2026, 2028, 9999]) {
    for (let month = 0; month <= 13; month++) {
      for (const day of [0, 1, 28, 29, 30, 31, 32]) {
        const iso = `${pad(year, 4)}-${pad(month)}-${pad(day)}T23:59:59`;
        const ms = Date.parse(`${iso}Z`);
        const isTime = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(iso);
        expect(isBackupName(`${iso.replace(/[-:T]/g, '')}Z_full`), iso).toBe(isTime);
      }
    }
  }
  expect(isBackupName('20261121236000Z_full')).toBe(false);
  expect(isBackupName('20261121235960Z_full')).toBe(false);
  expect(backupTime('20261121091500Z_full' as BackupName)).toBe('2026-11-21T09:15:00Z');
});

test('a name is a valid time, and so is the next one', () => {
  expect(backups.every(isBackupName)).toBe(true);
  for (const odd of ['20261399999999Z_full', '20260229000000Z_full', '20261121240000Z_full', '20261121120000Z']) {
    expect(isBackupName(odd)).toBe(false);
  }
  expect(nextBackupName('full', Date.UTC(2026, 10, 21) * 1000, backups)).toBe('20261122080001Z_full');
  expect(() => nextBackupName('full', 1, ['99991231235959Z_full' as BackupName])).toThrow(/9999/);
});
