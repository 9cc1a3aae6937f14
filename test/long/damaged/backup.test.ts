import {copyFileSync, statSync, truncateSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {type Desk, openDesk} from '../../helpers/desk.ts';
import {imageOf} from '../../helpers/sqlite-compare.ts';
import {cellsOf, DamagedFile, makeDatabase, pageBytes, partsOf} from './pages.ts';

// Through the real bkp: a backup of a damaged database fails, says what is damaged, and leaves no backup behind.

type Case = {what: string; damage: (file: DamagedFile, to: string) => void; message: RegExp};

const cases: Case[] = [
  {
    what: 'a leaf of zeros',
    damage: (file, to) => file.damage(to, file.tree('orders').leaves[20]!, (bytes) => bytes.fill(0)),
    message: /table orders is damaged: page \d+ is not a leaf of a table/,
  },
  {
    what: 'a child beyond the file',
    damage: (file, to) =>
      file.damage(to, file.tree('by_customer').inner[1]!, (bytes) => bytes.writeUInt32BE(9999, cellsOf(bytes)[1]!)),
    message: /index by_customer of table orders is damaged: page \d+ refers to page 9999, which does not exist/,
  },
  {
    what: 'a chain that ends too early',
    damage: (file, to) => file.damage(to, file.tree('plain').overflow[0]!, (bytes) => bytes.writeUInt32BE(0, 0)),
    message: /table plain is damaged: page \d+ ends a record too early/,
  },
  {
    what: 'a key in the wrong place',
    damage: (file, to) =>
      file.damage(to, file.tree('pairs').leaves[10]!, (bytes) => {
        const {payload} = partsOf(bytes, cellsOf(bytes)[1]!);
        bytes.write('zustomer', bytes.indexOf('customer', payload));
      }),
    message: /table pairs is damaged: its rows are not in the order of its key/,
  },
  {
    what: 'an index without some of the rows',
    damage: (file, to) => {
      copyFileSync(file.path, to);
      const db = new DatabaseSync(to);
      db.enableDefensive(false);
      const {root} = file.tree('by_customer');
      const [row] = db.prepare(`SELECT * FROM sqlite_schema WHERE name = 'by_customer'`).all();
      db.exec(`PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'by_customer'`);
      db.close();
      const without = new DatabaseSync(to);
      without.enableDefensive(false);
      without.exec(`INSERT INTO orders VALUES (100000, 'new', 'new', 'new'); PRAGMA writable_schema = ON`);
      without
        .prepare(`INSERT INTO sqlite_schema VALUES ('index', 'by_customer', 'orders', ?, ?)`)
        .run(root, String(row!.sql));
      without.close();
    },
    message: /index by_customer of table orders has \d+ records, and there are \d+ rows/,
  },
  {
    what: 'a file without its second half',
    damage: (file, to) => {
      copyFileSync(file.path, to);
      truncateSync(to, (file.pages >> 1) * pageBytes);
    },
    message: /damaged/,
  },
];

async function expectNoBackup(desk: Desk): Promise<void> {
  expect(await desk.sql('SHOW BACKUPS IN c')).not.toContain('_full');
  expect(desk.storedKeys().filter((key) => key.endsWith('/manifest'))).toEqual([]);
}

test.each(cases)(
  '$what: the backup fails with the reason, and the next one of the intact file is good',
  async (own) => {
    const desk = openDesk('');
    const good = join(desk.folder, 'good.db');
    makeDatabase(good);
    copyFileSync(good, desk.database);
    await desk.sql(`CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')`);
    own.damage(new DamagedFile(good), desk.database);
    const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
    expect(stderr).toMatch(own.message);
    expect(stderr).toContain('integrity_check');
    expect(status).toBe(13);
    await expectNoBackup(desk);

    copyFileSync(good, desk.database);
    await desk.sqlWait('BACKUP c');
    const restored = join(desk.folder, 'restored.db');
    expect(await desk.bkp('--source', restored, 'sql', '--wait', 'RESTORE c')).toMatchObject({status: 0});
    expect(imageOf(restored)).toEqual(imageOf(good));
  },
);

test('a log that lost its end below an application: the backup fails', async () => {
  const desk = openDesk('');
  makeDatabase(desk.database);
  await desk.sql(`CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')`);
  const application = new DatabaseSync(desk.database);
  application.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE orders SET customer = 'x' || id`);
  const log = `${desk.database}-wal`;
  truncateSync(log, statSync(log).size >> 1);
  const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(stderr).toMatch(/^bkp: /m);
  expect(status).not.toBe(0);
  await expectNoBackup(desk);
  application.close();
});
