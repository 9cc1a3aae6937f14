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
  await desk.sql("CREATE BACKUP COLLECTION c (TABLE orders, TABLE nosuch) WITH (STORAGE='cluster')");
  const result = await desk.refused('BACKUP c;');
  expect(result.stderr).toMatch(/nosuch.*SCHEME_ERROR/);
});
