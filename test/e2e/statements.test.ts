import {expect, test} from 'vitest';
import {backupsOf, createC, openDesk} from '../helpers/desk.ts';

// Some of the published cases of the statements, by number. The others are in test/long.

const incremental = createC(true);
const fullOnly = createC(false);
const dropBoth = 'DROP TABLE orders; DROP TABLE products';

test('YS01: CREATE accepts two tables with full paths', async () => {
  const desk = openDesk();
  await desk.sql(
    'CREATE BACKUP COLLECTION `shop` ( TABLE `/Root/orders`, TABLE `/Root/products` ) WITH ( ' +
      "STORAGE = 'cluster', INCREMENTAL_BACKUP_ENABLED = 'true' );",
  );
  await desk.sqlWait('BACKUP shop');
  expect(await backupsOf(desk, 'shop')).toHaveLength(1);
});

test('YS14: RESTORE names all existing tables and leaves them unchanged', async () => {
  const desk = openDesk();
  await desk.sql(fullOnly);
  await desk.sqlWait('BACKUP c');
  desk.exec("UPDATE orders SET txt = 'later'");
  const result = await desk.refused('RESTORE c;');
  expect(result.stderr).toMatch(/\/Root\/orders.*\/Root\/products.*SCHEME_ERROR/);
  expect(desk.column('SELECT DISTINCT txt FROM orders')).toEqual(['later']);
});

test('YS17: a full backup and two increments can each be restored', async () => {
  const desk = openDesk();
  await desk.sql(incremental);
  await desk.sqlWait('BACKUP c');
  desk.exec("INSERT INTO orders VALUES (10, 1, 'ten'); DELETE FROM orders WHERE id = 2");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  desk.exec("INSERT INTO orders VALUES (20, 2, 'twenty'); DELETE FROM orders WHERE id = 1");
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const names = await backupsOf(desk);
  for (const [at, ids] of [
    [1, 2, 3],
    [1, 3, 10],
    [3, 10, 20],
  ].entries()) {
    desk.exec(dropBoth);
    await desk.sqlWait(at === 0 ? `RESTORE c AT '${names[0]!.split('_')[0]}'` : `RESTORE \`c/${names[at]}\``);
    expect(desk.column('SELECT id FROM orders ORDER BY id')).toEqual(ids);
  }
});

test('YS22: BACKUP names a missing member table', async () => {
  const desk = openDesk();
  const created = await desk.bkp(
    'sql',
    "CREATE BACKUP COLLECTION c (TABLE orders, TABLE nosuch) WITH (STORAGE='cluster')",
  );
  expect(created.stderr).toBe('bkp: there is no table nosuch yet: BACKUP is refused until there is\n');
  const result = await desk.refused('BACKUP c;');
  expect(result.stderr).toMatch(/nosuch.*SCHEME_ERROR/);
});

test('a table whose changes cannot be tracked is named when a collection with increments gets it', async () => {
  const desk = openDesk();
  desk.exec('CREATE TABLE lines (a)');
  const settings = "WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')";
  const named = /^bkp: BACKUP will be refused because of lines: it has no declared primary key: .*\n$/;
  expect((await desk.bkp('sql', `CREATE BACKUP COLLECTION c (TABLE orders, TABLE lines) ${settings}`)).stderr).toMatch(
    named,
  );
  expect((await desk.refused('BACKUP c')).stderr).toMatch(/lines cannot have incremental backups/);
  expect((await desk.bkp('sql', `CREATE BACKUP COLLECTION d (TABLE orders) ${settings}`)).stderr).toBe('');
  expect((await desk.bkp('sql', 'ALTER BACKUP COLLECTION d ADD TABLE lines')).stderr).toMatch(named);
  expect((await desk.bkp('sql', 'ALTER BACKUP COLLECTION d ADD TABLE linse')).stderr).toMatch(
    /there is no table linse yet/,
  );
});
