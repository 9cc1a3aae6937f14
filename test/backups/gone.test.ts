import {expect, test} from 'vitest';
import {goneText} from '../../src/backups/index.ts';
import {encodeName} from '../../src/vault/index.ts';

test('a backup that is gone is named, however long the name of its collection is', () => {
  const backup = '20250215120000Z_full';
  const textOf = (name: string) =>
    goneText('fs::root=/b', {folder: `.backups/collections/${encodeName(name)}/`, backup, isSeenHere: true});
  expect(textOf('café')).toContain(`the newest backup café/${backup} is gone from fs::root=/b`);
  for (const before of ['', 'a', 'ab', 'abc']) {
    expect(textOf(before + '€'.repeat(200))).toContain(`/${backup} is gone from`);
  }
});
