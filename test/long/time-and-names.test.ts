import {join} from 'node:path';
import {expect, test} from 'vitest';
import {backupsOf, createC, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

test('names stay in order and the chain continues when the clock goes back or stands still', async () => {
  const desk = openDesk();
  let seconds = Date.parse('2026-11-21T12:00:00Z') / 1000;
  const {run} = runDirectly(desk, {nowMicros: () => seconds * 1e6});
  await run(createC(true));
  const taken: unknown[] = [];
  const expected: unknown[][] = [];
  for (const [at, type] of ['', ' INCREMENTAL', ' INCREMENTAL', '', ' INCREMENTAL'].entries()) {
    if (at === 2) seconds -= 3600;
    if (at === 3) seconds -= 86_400 * 400;
    desk.exec(`UPDATE orders SET number = ${at}`);
    taken.push((await run(`BACKUP c${type}`)).table!.rows[0]![1]);
    expected.push(desk.all('SELECT * FROM orders ORDER BY id'));
  }
  const names = await backupsOf(desk);
  expect(names.map((name) => `c/${name}`)).toEqual(taken);
  expect(names).toEqual([
    '20261121120000Z_full',
    '20261121120001Z_incremental',
    '20261121120002Z_incremental',
    '20261121120003Z_full',
    '20261121120004Z_incremental',
  ]);
  await run('VERIFY c');
  for (const [at, name] of names.entries()) {
    const target = join(desk.folder, `new${at}.db`);
    await runDirectly({...desk, database: target}).run(`RESTORE \`c/${name}\``);
    expect(desk.all('SELECT * FROM orders ORDER BY id', target)).toEqual(expected[at]);
  }
});

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const ticked = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** Names with a meaning for SQL, a shell, a file system, a terminal, or a regular expression. */
const tables = [
  'select',
  'TABLE',
  'a"b',
  'a`b',
  "it's",
  'a b',
  ' ',
  'Größe',
  '表',
  '😀',
  '..',
  '../up',
  'a/b',
  'a\\b',
  '-dash',
  '--',
  '%',
  '$x',
  '[x]',
  '*',
  '.hidden',
  'tab\there',
  'line\nbreak',
  '\u001b[31mred',
  '\u202eabc',
  'orders; DROP TABLE x',
  'x'.repeat(200),
  'con',
];

test('tables with any name are backed up, changed and restored', async () => {
  const desk = openDesk('CREATE TABLE x (id)');
  for (const name of tables) {
    desk.exec(
      `CREATE TABLE ${quoted(name)} (id INTEGER PRIMARY KEY, ${quoted(`${name}c`)}); INSERT INTO ` +
        `${quoted(name)} VALUES (1, 'one')`,
    );
  }
  const {run} = runDirectly(desk);
  const members = tables.map((name) => `TABLE ${ticked(name)}`).join(', ');
  await run(`CREATE BACKUP COLLECTION c (${members}) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')`);
  await run('BACKUP c');
  for (const name of tables) desk.exec(`INSERT INTO ${quoted(name)} VALUES (2, 'two')`);
  await run('BACKUP c INCREMENTAL');
  await run('VERIFY c');
  for (const name of tables) desk.exec(`DROP TABLE ${quoted(name)}`);
  await run('RESTORE c');
  for (const name of tables) expect(desk.column(`SELECT id FROM ${quoted(name)} ORDER BY id`), name).toEqual([1, 2]);
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name = 'x'")).toEqual(['x']);
  await run('BACKUP c INCREMENTAL');
  await run('DROP BACKUP COLLECTION c');
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name LIKE '\\_bkp%' ESCAPE '\\'")).toEqual([]);
  // Control sequences never reach the terminal, not even in an error.
  const refused = await desk.refused(`BACKUP ${ticked('\u001b[31mred')}`);
  expect(refused.stderr).not.toContain('\u001b');
});

test('collections can have any name that a folder can have, and other names are refused clearly', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  const good = [
    'select',
    'database',
    'a"b',
    'a`b',
    "it's",
    'a b',
    'Größe',
    '😀',
    '-dash',
    '.hidden',
    '%2E',
    'CON',
    'A',
    'a',
    'x'.repeat(200),
  ];
  for (const name of good) {
    const n = ticked(name);
    await run(`CREATE BACKUP COLLECTION ${n} (TABLE orders) WITH (STORAGE='cluster')`);
    await run(`BACKUP ${n}`);
    expect((await run(`SHOW BACKUPS IN ${n}`)).table!.rows, name).toHaveLength(1);
  }
  const {rows} = await run('SHOW BACKUP COLLECTIONS').then((answer) => answer.table!);
  expect(rows.map(([name]) => name).sort()).toEqual([...good].sort());
  desk.exec('DROP TABLE orders');
  for (const name of good) {
    await run(`VERIFY ${ticked(name)}`);
    await run(`RESTORE ${ticked(name)}`);
    await run(`DROP BACKUP COLLECTION ${ticked(name)}`);
    desk.exec('DROP TABLE orders');
  }
  for (const name of [
    '.',
    '..',
    '../x',
    '/x',
    'a/b',
    'tab\tx',
    'line\nx',
    '\u0000',
    'x'.repeat(201),
    '表'.repeat(150),
  ]) {
    await expect(
      run(`CREATE BACKUP COLLECTION ${ticked(name)} (TABLE t) WITH (STORAGE='cluster')`),
      name,
    ).rejects.toMatchObject({code: 'BAD_NAME', next: expect.any(String)});
  }
});
