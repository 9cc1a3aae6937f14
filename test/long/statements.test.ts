import {expect, test} from 'vitest';
import {backupsOf, createC, openDesk} from '../helpers/desk.ts';

// The published cases of the statements, by number. Some are in test/e2e.

const incremental = createC(true);
const fullOnly = createC(false);
const dropBoth = 'DROP TABLE orders; DROP TABLE products';

test('YS02: tables need not exist yet, and double quotes delimit literals too', async () => {
  const desk = openDesk();
  await desk.sql(
    'CREATE BACKUP COLLECTION c ( TABLE someTable, TABLE `prefix/anotherTable` ) WITH ( STORAGE="cluster" );',
  );
});

test.each([
  ['YS03', 'CREATE BACKUP COLLECTION TestCollection;', 2, /end of/],
  ['YS04', 'CREATE BACKUP COLLECTION TABLE TestCollection;', 2, /TestCollection/],
  [
    'YS05',
    "CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( STORAGE='cluster', STORAGE='cluster' );",
    2,
    /STORAGE duplicate keys/,
  ],
  [
    'YS06',
    'CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( INT_SETTING=1 );',
    2,
    /INT_SETTING value should be a string literal/,
  ],
  [
    'YS09',
    "CREATE BACKUP COLLECTION `SomePrefix/MyCollection1` ( TABLE orders ) WITH ( STORAGE='cluster' );",
    12,
    /must be placed directly in/,
  ],
  ['YS10', 'BACKUP nosuch;', 10, /SCHEME_ERROR/],
  ['YS20', 'DROP BACKUP COLLECTION nosuch;', 10, /SCHEME_ERROR/],
])('%s: %s is refused', async (_id, statement, status, message) => {
  const desk = openDesk();
  // Creates the cluster.
  await desk.sql("CREATE BACKUP COLLECTION other (TABLE orders) WITH (STORAGE='cluster')");
  const result = await desk.refused(statement);
  expect(result.stderr).toMatch(message);
  expect(result.status).toBe(status);
  expect(result.stdout).toBe('');
});

test('YS07: a trailing comma after the settings is accepted', async () => {
  await openDesk().sql("CREATE BACKUP COLLECTION c ( TABLE orders ) WITH ( STORAGE='cluster', );");
});

test('YS08: repeating a CREATE is refused, and does nothing with IF NOT EXISTS', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  const again = await desk.refused(fullOnly);
  expect(again.stderr).toContain('path exist');
  expect(again.stderr).toContain('SCHEME_ERROR');
  await desk.sql(fullOnly.replace('COLLECTION c', 'COLLECTION IF NOT EXISTS c'));
});

test('YS11: an increment is refused unless increments are enabled', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  await desk.sqlWait('BACKUP c');
  const result = await desk.refused('BACKUP c INCREMENTAL;');
  expect(result.stderr).toContain('Incremental backup is disabled on this collection (BAD_REQUEST)');
  expect(await backupsOf(desk)).toHaveLength(1);
});

test('YS12: an increment without a full backup is refused', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  const result = await desk.refused('BACKUP c INCREMENTAL;');
  expect(result.stderr).toMatch(/full backup.*BAD_REQUEST/);
  expect(result.stderr).toContain('BACKUP c');
});

test('YS13: RESTORE without any backup is refused', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  expect((await desk.refused('RESTORE c;')).stderr).toContain('Nothing to restore');
});

test('YS15: dropped tables are restored', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  await desk.sqlWait('BACKUP c');
  const before = desk.all('SELECT * FROM orders ORDER BY id');
  desk.exec(dropBoth);
  await desk.sqlWait('RESTORE c;');
  expect(desk.all('SELECT * FROM orders ORDER BY id')).toEqual(before);
  expect(desk.column('SELECT count(*) FROM products')).toEqual([3]);
});

test('YS16: RESTORE restores the latest full backup', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  await desk.sqlWait('BACKUP c');
  desk.exec("INSERT INTO orders VALUES (11, 110, 'eleven')");
  await desk.sqlWait('BACKUP c');
  desk.exec(dropBoth);
  await desk.sqlWait('RESTORE c;');
  expect(desk.column('SELECT count(*) FROM orders')).toEqual([4]);
});

test('YS18: if one table exists, RESTORE creates none', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  desk.exec('DROP TABLE orders');
  await desk.refused('RESTORE c;');
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name = 'orders'")).toEqual([]);
});

test('YS19: DROP removes backups and tracking, keeps the tables, and frees the name', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  await desk.sqlWait('BACKUP c');
  await desk.sqlWait('BACKUP c INCREMENTAL');
  await desk.sqlWait('DROP BACKUP COLLECTION c;');
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name LIKE '%bkp%'")).toEqual([]);
  expect(desk.column('SELECT count(*) FROM orders')).toEqual([3]);
  expect((await desk.refused('RESTORE c')).stderr).toContain('SCHEME_ERROR');
  await desk.sql(incremental);
  expect(await backupsOf(desk)).toEqual([]);
});

test('INCREMENTAL OR FULL with --wait prints the name of the backup that it took', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  await desk.sqlWait('BACKUP c');
  // Only the snapshot shows it, in the worker.
  desk.exec('DROP TABLE _bkp_marks');
  const {stdout} = await desk.bkp('sql', '--wait', '--format', 'json', 'BACKUP c INCREMENTAL OR FULL');
  const [row, operation] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(row).toEqual({operation_id: operation.id, backup: `c/${(await backupsOf(desk)).at(-1)}`});
  expect(row.backup).toMatch(/_full$/);
  desk.exec(dropBoth);
  const planned = row.backup.replace('_full', '_incremental');
  const {stderr} = await desk.refused(`RESTORE \`${planned}\``);
  expect(stderr).toMatch(/did you mean \d+Z_full\?/);
  await desk.sqlWait(`RESTORE \`${row.backup}\``);
});

test('a backup that failed has no name in the row of its statement', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  await desk.sqlWait('BACKUP c');
  desk.exec('DROP TABLE _bkp_marks');
  const {stdout, status} = await desk.bkp('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(status).not.toBe(0);
  expect(stdout).toMatch(/^operation_id +backup\nincbackup\/2 +NULL\n$/);
});
