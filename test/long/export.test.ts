import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {type ExportRequest, exportToFile} from '../../src/app/looking/export.ts';
import {execute} from '../../src/app/statements/execute.ts';
import {parse} from '../../src/sql/index.ts';
import {type TestDeps, testDeps} from '../helpers/deps.ts';
import {createC, openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const schema = `CREATE TABLE orders (id INTEGER PRIMARY KEY, txt TEXT, raw BLOB);
  CREATE TABLE products (id INTEGER PRIMARY KEY, number INT, "txt" TEXT);
  CREATE INDEX by_txt ON orders (txt);
  INSERT INTO orders VALUES (1, NULL, x''), (2, '', NULL), (3, 'a "b", c', x'0aff'), (4, 'd' || char(10) || 'e', x'00'),
    (9007199254740993, 'f', NULL)`;

type Mutable<T> = {-readonly [key in keyof T]: T[key]};

async function openShop(settings: Partial<Awaited<ReturnType<TestDeps['settings']>>> = {}) {
  const desk = openDesk(schema);
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const deps: Mutable<TestDeps> = {
    ...base,
    cwd: desk.folder,
    settings: async () => ({...(await base.settings()), source: desk.database, cluster: desk.cluster, ...settings}),
  };
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  const write = (file: string, format: ExportRequest['format'], tables: readonly string[]) =>
    exportToFile(deps, {from: {collection: 'c', point: undefined}, file, format, tables});
  return {desk, deps, run, write, text: (file: string) => readFileSync(join(desk.folder, file), 'utf8')};
}

test('CSV tells NULL from an empty text, and quotes what would divide a field', async () => {
  const {write, text} = await openShop();
  expect(await write('orders.csv', 'csv', ['orders'])).toMatchObject({tables: 1, rows: 5});
  expect(text('orders.csv')).toBe(
    'id,txt,raw\r\n1,,""\r\n2,"",\r\n3,"a ""b"", c",0aff\r\n4,"d\ne",00\r\n9007199254740993,f,\r\n',
  );
});

test('JSON lines keep the digits of every number, and all bytes', async () => {
  const {write, text} = await openShop();
  await write('orders.jsonl', 'jsonl', ['orders']);
  expect(text('orders.jsonl').split('\n')).toEqual([
    '{"id":1,"txt":null,"raw":{"base64":""}}',
    '{"id":2,"txt":"","raw":null}',
    '{"id":3,"txt":"a \\"b\\", c","raw":{"base64":"Cv8="}}',
    '{"id":4,"txt":"d\\ne","raw":{"base64":"AA=="}}',
    '{"id":9007199254740993,"txt":"f","raw":null}',
    '',
  ]);
});

test('a database has the named tables with their indexes, and no others', async () => {
  const {desk, write} = await openShop();
  expect(await write('part.db', 'database', ['orders'])).toMatchObject({tables: 1, rows: 5});
  const names = (file: string) => desk.column('SELECT name FROM sqlite_schema ORDER BY 1', join(desk.folder, file));
  expect(names('part.db')).toEqual(['by_txt', 'orders']);
  await write('all.db', 'database', []);
  expect(names('all.db')).toEqual(['by_txt', 'orders', 'products']);
});

test('a file that appears while the rows are written stays as it is, and nothing is left beside it', async () => {
  const {desk, deps, write, text} = await openShop();
  let mayAppear = true;
  deps.showProgress = () => {
    if (mayAppear) writeFileSync(join(desk.folder, 'orders.csv'), 'mine');
    mayAppear = false;
  };
  await expect(write('orders.csv', 'csv', ['orders'])).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'orders.csv exists already, and is not overwritten',
  });
  expect(text('orders.csv')).toBe('mine');
  expect(readdirSync(desk.folder).filter((name) => name.includes('bkp-new'))).toEqual([]);
});

test('an export of what a damaged backup has lost leaves no file', async () => {
  const {desk, write} = await openShop();
  for (const key of desk.storedKeys().filter((each) => each.startsWith('packs/'))) {
    const path = join(desk.cluster, key);
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at += 7) bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
  for (const [file, format, tables] of [
    ['orders.csv', 'csv', ['orders']],
    ['all.db', 'database', []],
  ] as const) {
    await expect(write(file, format, tables)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    expect(existsSync(join(desk.folder, file))).toBe(false);
  }
  expect(readdirSync(desk.folder).filter((name) => name.includes('bkp-new'))).toEqual([]);
});

test('a SELECT on a backup is refused when its tables need more of the disk than is allowed', async () => {
  const {deps} = await openShop({selectDisk: 0});
  await expect(execute(deps, parse("SELECT * FROM backup('c').orders")[0]!)).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    cause: 'select.limit.disk allows 0 B',
  });
});
