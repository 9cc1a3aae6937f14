import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const reportsOf = (desk: Desk) => desk.storedKeys().filter((key) => key.includes('/reports/'));

/** Changes that no trigger sees, as by a program that switches them off. */
function changeUnseen({database}: Desk, sql: string): void {
  const db = new DatabaseSync(database);
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  for (const {name} of triggers) db.exec(`DROP TRIGGER "${name}"`);
  db.exec(sql);
  for (const trigger of triggers) db.exec(String(trigger.sql));
  db.close();
}

/** Everything that bkp keeps in the database. */
const trackingOf = ({all, column}: Desk) =>
  column("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '\\_bkp%' ESCAPE '\\' ORDER BY name").map(
    (table) => all(`SELECT * FROM "${table}"`),
  );

test("LEVEL='source' finds nothing while every change is tracked, and leaves the tracking as it is", async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  desk.exec('UPDATE orders SET number = 7 WHERE id = 1; DELETE FROM products WHERE id = 3');
  await run('BACKUP c INCREMENTAL');
  desk.exec(
    "INSERT INTO orders VALUES (9, 90, 'nine'); DELETE FROM orders WHERE id = 2; UPDATE products SET id = id + 30",
  );
  const before = trackingOf(desk);
  const {result} = await run("VERIFY c WITH (LEVEL='source')");
  expect(result?.rows).toBe(3 + 2);
  expect(trackingOf(desk)).toEqual(before);
  expect(reportsOf(desk)).toEqual([expect.stringMatching(/_incremental\/reports\/\d{14}Z_source_passed_/)]);
  await run('BACKUP c INCREMENTAL');
  await run("VERIFY c WITH (LEVEL='restore')");
}, 20_000);

test("LEVEL='source' names tables, numbers and keys of rows that the change log missed", async () => {
  const desk = openDesk(`CREATE TABLE orders (id INTEGER PRIMARY KEY, number INTEGER, txt TEXT);
    CREATE TABLE products (a TEXT, b REAL, number, PRIMARY KEY (a, b)) WITHOUT ROWID;
    INSERT INTO orders VALUES (1, 10, 'one'), (2, 20, 'two'); INSERT INTO products VALUES ('x', 1, 1), ('y', 2, 2)`);
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  desk.exec('INSERT INTO orders VALUES (3, 30, NULL)');
  changeUnseen(desk, "UPDATE orders SET txt = 'ONE' WHERE id = 1; INSERT INTO orders VALUES (-4, 40, NULL)");
  changeUnseen(desk, "DELETE FROM products WHERE a = 'y'");
  await expect(run("VERIFY c WITH (LEVEL='source')")).rejects.toMatchObject({
    code: 'DAMAGE_FOUND',
    details: [
      'orders: 1 row only in the source (id -4), 1 row with other values (id 1)',
      "products: 1 row only in the backup and its changes (a 'y', b 2.0)",
    ],
  });
  expect(reportsOf(desk)).toEqual([expect.stringMatching(/_source_failed_/)]);
});

test("LEVEL='source' says which tables are not compared, and why", async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  desk.exec('DROP TRIGGER _bkp_delete_orders');
  const why =
    'orders is not compared, because the next increment takes all of its rows: its changes were not tracked all the ' +
    'time: its trigger _bkp_delete_orders is missing';
  const {result} = await run("VERIFY c WITH (LEVEL='source')");
  expect(result?.notices).toEqual([why]);
  desk.exec('DROP TRIGGER _bkp_delete_products');
  await expect(run("VERIFY c WITH (LEVEL='source')")).rejects.toMatchObject({
    code: 'PRECONDITION',
    details: [`${why}.`, expect.stringContaining('products is not compared')],
  });
});

test("LEVEL='source' is refused where nothing could be compared", async () => {
  const desk = openDesk();
  const {run, give} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  await expect(give("VERIFY c WITH (LEVEL='source')")).rejects.toMatchObject({code: 'PRECONDITION'});
  await run("ALTER BACKUP COLLECTION c SET (INCREMENTAL_BACKUP_ENABLED='true')");
  await run('BACKUP c');
  const {rows} = (await run('SELECT backup FROM collection_backups()')).table!;
  const older = String(rows[0]![0]);
  await expect(give(`VERIFY c AT '${older}' WITH (LEVEL='source')`)).rejects.toMatchObject({code: 'BAD_REQUEST'});
  desk.remove('app.db', 'app.db-wal', 'app.db-shm');
  desk.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, number INTEGER, txt TEXT); CREATE TABLE products (id)');
  await expect(run("VERIFY c WITH (LEVEL='source')")).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(reportsOf(desk)).toEqual([]);
});
