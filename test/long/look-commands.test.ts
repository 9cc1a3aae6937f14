import {spawn} from 'node:child_process';
import {existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {bkpFile} from '../helpers/bkp.ts';
import {backupsOf, type Desk, openDesk} from '../helpers/desk.ts';
import {expectSame} from '../helpers/sqlite-compare.ts';

const schema = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, amount REAL, raw BLOB, twice INT AS (id * 2));
  CREATE TABLE "odd, ""table" ("a b" TEXT PRIMARY KEY, "select" INT) WITHOUT ROWID;
  CREATE TABLE log (at TEXT, id INT);
  CREATE INDEX by_note ON orders (note); CREATE VIEW notes AS SELECT note FROM orders;
  CREATE TRIGGER logged AFTER INSERT ON orders BEGIN INSERT INTO log VALUES ('now', NEW.id); END;
  INSERT INTO orders (id, note, amount, raw) VALUES (1, 'one', 1, x'00ff'), (2, NULL, 0.1, x''),
    (3, '', 9e999, NULL), (9007199254740993, 'a "quoted", text' || char(13, 10) || 'and é', -2.5e300, x'61');
  INSERT INTO "odd, ""table" VALUES ('x', 1), ('', NULL)`;

async function begin(): Promise<Desk> {
  const desk = openDesk(schema);
  await desk.sql("CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await desk.sqlWait('BACKUP c');
  return desk;
}

test('an export is a database as a restore makes it, or text that keeps every value', async () => {
  const desk = await begin();
  expect(await desk.bkp('export', 'c', 'copy.db')).toMatchObject({status: 0, stdout: ''});
  expectSame(join(desk.folder, 'copy.db'), desk.database);
  expect(await desk.bkp('export', 'c', 'orders.csv')).toMatchObject({status: 0});
  expect(readFileSync(join(desk.folder, 'orders.csv'), 'utf8')).toBe(
    [
      'id,note,amount,raw,twice',
      '1,one,1.0,00ff,2',
      '2,,0.1,"",4',
      '3,"",9e999,,6',
      '9007199254740993,"a ""quoted"", text\r\nand é",-2.5e+300,61,18014398509481986',
      '',
    ].join('\r\n'),
  );
  const lines = await desk.bkp('export', 'c', '-', '--table', '/Root/ORDERS', '--format', 'jsonl');
  expect(lines.stdout.split('\n')).toEqual([
    '{"id":1,"note":"one","amount":1.0,"raw":{"base64":"AP8="},"twice":2}',
    '{"id":2,"note":null,"amount":0.1,"raw":{"base64":""},"twice":4}',
    '{"id":3,"note":"","amount":9e999,"raw":null,"twice":6}',
    '{"id":9007199254740993,"note":"a \\"quoted\\", text\\r\\nand é","amount":-2.5e+300,"raw":{"base64":"YQ=="},' +
      '"twice":18014398509481986}',
    '',
  ]);
  const odd = await desk.bkp('export', 'c', 'odd.jsonl', '--table', 'odd, "table');
  expect(odd.status).toBe(0);
  expect(readFileSync(join(desk.folder, 'odd.jsonl'), 'utf8')).toBe(
    '{"a b":"","select":null}\n{"a b":"x","select":1}\n',
  );
  expect(await desk.bkp('export', 'c', 'part.db', '--table', 'orders')).toMatchObject({status: 0});
  expect(desk.column('SELECT name FROM sqlite_schema ORDER BY 1', join(desk.folder, 'part.db'))).toEqual([
    ...['by_note', 'orders'],
  ]);
  expect(readdirSync(desk.folder).filter((name) => name.includes('bkp-'))).toEqual([]);
  expect(readdirSync(join(desk.home, 'scratch'))).toEqual([]);
});

const impossible: readonly (readonly [readonly string[], number, string])[] = [
  [['c', 'taken.db'], 12, 'taken.db exists already, and is not overwritten'],
  [['c', 'left.db'], 12, 'left.db-wal exists without its database'],
  [['c', 'link.db'], 12, 'link.db exists already, and is not overwritten'],
  [['c', 'orders.xml'], 2, 'the name orders.xml does not say what to write'],
  [['c', '-'], 2, 'standard output needs a format'],
  [['c', '-', '--format', 'database'], 2, 'a database needs a file'],
  [['c', 'rows.csv'], 2, 'rows.csv can hold the rows of one table'],
  [['c', 'rows.csv', '--table', 'ordrs'], 10, 'did you mean orders?'],
  [['c', 'rows.csv', '--table', 'notes'], 12, 'notes is not a table'],
  [['c', 'nowhere/rows.csv', '--table', 'orders'], 1, 'cannot be written'],
  [['c', 'a.db', '--at', '2001-01-01'], 10, 'has no backup at or before'],
  [['d', 'a.db'], 10, 'does not exist'],
];

test('an export that is not possible says why, and leaves no file', async () => {
  const desk = await begin();
  writeFileSync(join(desk.folder, 'taken.db'), 'mine');
  writeFileSync(join(desk.folder, 'left.db-wal'), 'left');
  symlinkSync('nowhere.db', join(desk.folder, 'link.db'));
  for (const [args, status, text] of impossible) {
    const result = await desk.bkp('export', ...args);
    expect(result.stderr).toContain(text);
    expect(result.status, args.join(' ')).toBe(status);
  }
  expect(readFileSync(join(desk.folder, 'taken.db'), 'utf8')).toBe('mine');
  expect(readdirSync(desk.folder).filter((name) => /bkp-|^a\.db|^left\.db$|rows/.test(name))).toEqual([]);
});

test('diff counts rows by table, prints them, and names what changed in the schema', async () => {
  const desk = await begin();
  expect(await desk.bkp('diff', 'c')).toMatchObject({
    status: 0,
    stdout: '',
    stderr: '3 tables compared: no difference\n',
  });
  desk.exec(`UPDATE orders SET raw = x'0100' WHERE id = 1; DELETE FROM orders WHERE id = 2;
    INSERT INTO orders (id, amount) VALUES (5, 2)`);
  const live = await desk.bkp('diff', 'c');
  expect(live.stdout).toBe(
    'table   added  changed  deleted\nlog         1        0        0\norders      1        1        1\n',
  );
  const [only] = await backupsOf(desk);
  for (const short of [['c', 'now'], [`c/${only}`], [`c/${only}`, 'now']]) {
    expect((await desk.bkp('diff', ...short)).stdout, short.join(' ')).toBe(live.stdout);
  }
  await new Promise((done) => setTimeout(done, 1100));
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const [full, increment] = await backupsOf(desk);
  const stored = await desk.bkp('diff', 'c', full!, increment!, '--format', 'json');
  expect(
    stored.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    {table: 'log', state: 'kept', added: 1, changed: 0, deleted: 0, schema: []},
    {table: 'odd, "table', state: 'kept', added: 0, changed: 0, deleted: 0, schema: []},
    {table: 'orders', state: 'kept', added: 1, changed: 1, deleted: 1, schema: []},
  ]);
  expect((await desk.bkp('diff', `c/${full}`, increment!, '--format', 'json')).stdout).toBe(stored.stdout);
  const rows = await desk.bkp('diff', 'c', full!, 'latest', '--table', 'Orders', '--rows');
  expect(rows.stdout.trim().split('\n').sort()).toEqual([
    '{"table":"orders","change":"added","row":{"id":5,"note":null,"amount":2.0,"raw":null,"twice":10}}',
    '{"table":"orders","change":"changed","row":{"id":1,"note":"one","amount":1.0,"raw":{"base64":"AQA="},"twice":2},' +
      '"before":{"id":1,"note":"one","amount":1.0,"raw":{"base64":"AP8="},"twice":2}}',
    '{"table":"orders","change":"deleted","row":{"id":2,"note":null,"amount":0.1,"raw":{"base64":""},"twice":4}}',
  ]);
  desk.exec('ALTER TABLE orders ADD COLUMN paid INT; DROP TABLE "odd, ""table"; DROP TRIGGER logged');
  expect((await desk.bkp('diff', 'c', 'latest', 'now')).stdout).toBe(
    'table        added  changed  deleted  state\n' +
      'odd, "table      0        0        2  dropped\n' +
      'orders           0        0        0  kept\n' +
      'orders: column paid added\norders: trigger logged dropped\n',
  );
  expect((await desk.bkp('diff', 'c', full!, '--table', 'nothing')).status).toBe(10);
});

test('diff reads all rows of many tables with indexes', async () => {
  const desk = openDesk('');
  const names = Array.from({length: 8}, (_, at) => `t${at}`);
  for (const name of names) {
    desk.exec(`CREATE TABLE ${name} (k TEXT PRIMARY KEY, n, v); CREATE INDEX ${name}_n ON ${name} (n, k);
      WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 4000)
      INSERT INTO ${name} SELECT 'key ' || i, i % 7, printf('%01000d', i) FROM i`);
  }
  await desk.sql("CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster')");
  await desk.sqlWait('BACKUP c');
  expect(await desk.bkp('diff', 'c')).toMatchObject({status: 0, stderr: '8 tables compared: no difference\n'});
});

test('SELECT and diff say that a text has bytes that are none, as an export does', async () => {
  const desk = await begin();
  const notice =
    /^bkp: 1 row has texts with the character U\+FFFD, which also stands for bytes that are not valid text/m;
  desk.exec(
    "CREATE TABLE odd (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO odd VALUES (1, CAST(x'ff' AS TEXT)), (2, 'a')",
  );
  await desk.sqlWait('BACKUP c');
  expect((await desk.bkp('sql', "SELECT * FROM backup('c').odd")).stderr).toMatch(notice);
  expect((await desk.bkp('sql', "SELECT * FROM backup('c').odd WHERE id = 2")).stderr).toBe('');
  desk.exec("UPDATE odd SET a = CAST(x'fe' AS TEXT) WHERE id = 1; UPDATE odd SET a = 'b' WHERE id = 2");
  const {stdout, stderr} = await desk.bkp('diff', 'c', '--rows');
  expect(stdout.trim().split('\n')).toHaveLength(2);
  expect(stderr).toMatch(notice);
});

test('a SELECT on a backup works where only the store is left', async () => {
  const desk = await begin();
  desk.exec('DELETE FROM orders');
  const store = ['--home', join(desk.folder, 'other'), '--cluster', desk.cluster, '--source', 'gone.db'];
  const query = "SELECT id, raw FROM backup('c').orders WHERE id IN (1, 9007199254740993)";
  const {stdout} = await desk.bkp(...store, 'sql', '--format', 'json', query);
  expect(stdout).toBe('{"id":1,"raw":"00ff"}\n{"id":"9007199254740993","raw":"61"}\n');
});

test('what a killed command leaves behind, the next one removes', async () => {
  const desk = await begin();
  const row = "printf('%0900d', i)";
  desk.exec(`INSERT INTO log WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
    SELECT ${row}, i FROM n`);
  await new Promise((done) => setTimeout(done, 1100));
  await desk.sqlWait('BACKUP c');
  const scratch = join(desk.home, 'scratch');
  const env = {...process.env, BKP_HOME: desk.home, BKP_CLUSTER: desk.cluster, BKP_SOURCE: desk.database};
  const child = spawn(process.execPath, [bkpFile, 'export', 'c', 'log.csv'], {cwd: desk.folder, env, stdio: 'ignore'});
  const ended = new Promise((done) => child.once('exit', done));
  await expect.poll(() => existsSync(scratch) && readdirSync(scratch).length).toBe(1);
  child.kill('SIGKILL');
  await ended;
  expect(existsSync(join(desk.folder, 'log.csv'))).toBe(false);
  await desk.bkp('operation', 'list');
  expect(readdirSync(scratch)).toEqual([]);
});

test('a key that became a number is another key: the text 46 is not the number 46', async () => {
  const desk = openDesk("CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('46', 'a')");
  await desk.sqlWait("CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster'); BACKUP c");
  desk.exec("DROP TABLE t; CREATE TABLE t (k INT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES (46, 'a')");
  const {stdout} = await desk.bkp('diff', 'c', '--format', 'json');
  expect(JSON.parse(stdout)).toMatchObject({table: 't', added: 1, changed: 0, deleted: 1});
});
