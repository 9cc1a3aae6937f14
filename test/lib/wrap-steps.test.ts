import {expect, test} from 'vitest';
import {wrapAroundCommands} from '../../src/lib/wrap-steps.ts';

test.each([
  ['a short one: bkp doctor', ['a short one: bkp doctor']],
  [
    'bkp operation wait fullbackup/1, or bkp operation cancel fullbackup/1',
    ['bkp operation wait fullbackup/1, or', 'bkp operation cancel fullbackup/1'],
  ],
  [
    "restore into a new file: RESTORE shop AT '20261127220836Z_full' INTO './restored.db'",
    ['restore into a new file:', "RESTORE shop AT '20261127220836Z_full' INTO './restored.db'"],
  ],
  [
    "make one: CREATE BACKUP COLLECTION c (TABLE a, TABLE b) WITH (STORAGE='cluster'); then it works as is expected",
    [
      'make one:',
      "CREATE BACKUP COLLECTION c (TABLE a, TABLE b) WITH (STORAGE='cluster');",
      'then it works as is expected',
    ],
  ],
  [
    "move it away (mv '/a folder, long/journal.db' '/a folder, long/x'): bkp starts a new one, and no backup is lost",
    [
      'move it away',
      "(mv '/a folder, long/journal.db' '/a folder, long/x'):",
      'bkp starts a new one, and no backup is',
      'lost',
    ],
  ],
  [
    'bkp config set source sqlite::path=./app.db (or --source, or BKP_SOURCE)',
    ['bkp config set source sqlite::path=./app.db', '(or --source, or BKP_SOURCE)'],
  ],
  [
    "with bkp's and the user's own names, of which the users' home is one, it wraps between words",
    ["with bkp's and the user's own names,", "of which the users' home is one, it", 'wraps between words'],
  ],
  [
    'in a crontab, BKP_HOME=/srv/with/a/long/path bkp scheduler --once; elsewhere it is not needed',
    ['in a crontab,', 'BKP_HOME=/srv/with/a/long/path bkp scheduler --once;', 'elsewhere it is not needed'],
  ],
  [
    'bkp config set backup.limit.upload 10MB applies to operations that are started later',
    ['bkp config set backup.limit.upload 10MB', 'applies to operations that are started', 'later'],
  ],
  [
    'bkp doctor --repair removes it; keep it if the collection is in another cluster',
    ['bkp doctor --repair removes it; keep', 'it if the collection is in another', 'cluster'],
  ],
])('%s', (text, lines) => {
  expect(wrapAroundCommands(text, 38)).toEqual(lines);
});
