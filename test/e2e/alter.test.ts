import {join} from 'node:path';
import {expect, test} from 'vitest';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const tracked = (desk: Desk) => desk.column("SELECT name FROM sqlite_schema WHERE name LIKE '\\_bkp%' ESCAPE '\\'");
const alter = (actions: string) => `ALTER BACKUP COLLECTION c ${actions}`;

test('an increment has all rows of a table that joined, and a table that left loses its tracking', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  desk.exec('CREATE TABLE extra (id INTEGER PRIMARY KEY); INSERT INTO extra VALUES (1)');
  await run(createC(true));
  await run('BACKUP c');
  const restored = async () => {
    const target = join(desk.folder, `${(await backupsOf(desk)).length}.db`);
    await runDirectly({...desk, database: target}).run('RESTORE c');
    return {
      tables: desk.column("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", target),
      orders: desk.column('SELECT id FROM orders', target),
    };
  };
  await run(alter('ADD TABLE extra'));
  desk.exec('DELETE FROM orders WHERE id = 1');
  expect(await run('BACKUP c INCREMENTAL')).toMatchObject({
    result: {notices: expect.arrayContaining([expect.stringMatching(/new since \w+_full, with all rows: extra/)])},
  });
  expect(await restored()).toEqual({
    tables: ['extra', 'orders', 'products'],
    orders: desk.column('SELECT id FROM orders'),
  });
  await run(alter('DROP TABLE extra, DROP TABLE products'));
  expect(await run('BACKUP c INCREMENTAL')).toMatchObject({
    result: {notices: expect.arrayContaining([expect.stringMatching(/no longer in the collection: products, extra/)])},
  });
  expect(await restored()).toEqual({tables: ['orders'], orders: desk.column('SELECT id FROM orders')});
  expect(tracked(desk).filter((name) => String(name).match(/extra|products/))).toEqual([]);
  expect(tracked(desk)).toContain('_bkp_log_orders');
});

test('switching increments off removes the tracking', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  await run(alter("SET (INCREMENTAL_BACKUP_ENABLED='false')"));
  expect(tracked(desk)).toEqual([]);
  await expect(run('BACKUP c INCREMENTAL')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringMatching(/disabled/),
  });
  await run('BACKUP c');
  expect(tracked(desk)).toEqual([]);
  // After increments are switched on again, the chain starts with the next full backup.
  await run(alter("SET (INCREMENTAL_BACKUP_ENABLED='true')"));
  await expect(run('BACKUP c INCREMENTAL')).rejects.toMatchObject({next: expect.stringContaining('BACKUP c')});
  await run('BACKUP c');
  await run('BACKUP c INCREMENTAL');
  await run(alter('RESET (INCREMENTAL_BACKUP_ENABLED)'));
  expect(tracked(desk)).toEqual([]);
  await run('BACKUP c');
  expect(tracked(desk)).toEqual([]);
});

test('a collection of the whole database includes later tables, and can be changed back to named tables', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run("CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await run('BACKUP c');
  desk.exec('CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later VALUES (7)');
  await run('BACKUP c INCREMENTAL');
  const target = join(desk.folder, 'new.db');
  await runDirectly({...desk, database: target}).run('RESTORE c');
  expect(desk.column('SELECT name FROM sqlite_schema ORDER BY name', target)).toEqual(['later', 'orders', 'products']);

  await expect(run(alter('ADD TABLE orders'))).rejects.toMatchObject({
    message: expect.stringMatching(/whole database/),
  });
  await run(alter('DROP DATABASE, ADD TABLE orders'));
  await expect(run(alter('DROP DATABASE'))).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await run('BACKUP c');
  await run(alter('DROP TABLE orders'));
  await expect(run('BACKUP c')).rejects.toMatchObject({
    message: expect.stringMatching(/no tables/),
    next: expect.stringContaining('ADD TABLE'),
  });
});

test('OMIT_INDEXES omits indexes and keeps constraints', async () => {
  const desk = openDesk();
  desk.exec('CREATE INDEX by_number ON orders (number); CREATE TABLE u (id INTEGER PRIMARY KEY, x UNIQUE)');
  const {run} = runDirectly(desk);
  await run("CREATE BACKUP COLLECTION c (TABLE orders, TABLE u) WITH (STORAGE='cluster', OMIT_INDEXES='true')");
  await run('BACKUP c');
  await run(alter('RESET (OMIT_INDEXES)'));
  await run('BACKUP c');
  const indexes = async (at: number) => {
    const target = join(desk.folder, `new${at}.db`);
    await runDirectly({...desk, database: target}).run(`RESTORE \`c/${(await backupsOf(desk))[at]}\``);
    return desk.column("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name", target);
  };
  expect(await indexes(0)).toEqual(['sqlite_autoindex_u_1']);
  expect(await indexes(1)).toEqual(['by_number', 'sqlite_autoindex_u_1']);
});

test('wrong settings, wrong levels, existing and missing collections are refused', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  for (const statement of [
    alter("SET (FOO='1')"),
    alter("SET (STORAGE='tape')"),
    alter("SET (OMIT_INDEXES='maybe')"),
    alter('RESET (FOO)'),
    alter('ADD TABLE orders'),
    alter('DROP TABLE nosuch'),
    "VERIFY c WITH (LEVEL='x')",
    "VERIFY c WITH (DEPTH='1')",
    'VERIFY c',
  ])
    await expect(run(statement), statement).rejects.toMatchObject({code: 'BAD_REQUEST', next: expect.any(String)});
  expect(await run(createC(false).replace('COLLECTION c', 'COLLECTION IF NOT EXISTS c'))).toMatchObject({
    notices: [expect.stringMatching(/exists/)],
  });
  expect(await run('DROP BACKUP COLLECTION IF EXISTS nosuch')).toMatchObject({
    notices: [expect.stringMatching(/no collection nosuch/)],
  });
  await run('BACKUP c');
  const [only] = await backupsOf(desk);
  for (const verify of ['VERIFY c', `VERIFY \`c/${only}\``, "VERIFY c WITH (LEVEL='structure')"]) await run(verify);
  for (const none of ["RESTORE c AT '20200101000000Z'", 'VERIFY `c/20200101000000Z_full`'])
    await expect(run(none), none).rejects.toMatchObject({
      code: 'BACKUP_NOT_FOUND',
      next: expect.stringContaining('SHOW'),
    });
});

test('a backup of the whole database names the tables that it leaves out', async () => {
  const desk = openDesk();
  desk.exec('CREATE TABLE _bkp_words (word)');
  await desk.sql("CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(status).toBe(0);
  expect(stderr).toMatch(/_bkp_words is left out: names that begin with _bkp_/);
});
