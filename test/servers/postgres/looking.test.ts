import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {awkwardChanges, awkwardSchema, awkwardTables} from './awkward.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {openPostgresDesk} from './desk.ts';

const cluster = clusterOfFile();

async function shop(schema: string) {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  const {desk, answer: done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  return {database, desk, done};
}

const schema = `
  CREATE SCHEMA billing;
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE orders (note text, id bigint PRIMARY KEY, total numeric(12, 2), state state, paid boolean,
    at timestamptz,
    bytes bytea, f float8, big numeric);
  CREATE TABLE billing.cards (id numeric PRIMARY KEY, n int);
  CREATE TABLE log (line text);
  INSERT INTO orders SELECT E'tab\\there\\n' || g, g, g * 1.10, 'new', g % 2 = 0, '2026-11-27 12:00+02', '\\x00ff',
    CASE g WHEN 1 THEN 'NaN' ELSE g / 4.0 END, 12345678901234567890.123 FROM generate_series(1, 3000) g;
  INSERT INTO billing.cards VALUES (1.0, 1), (2.50, 2), (3, 3); INSERT INTO log VALUES ('a'), ('a'), ('b');`;
const changes = `
  UPDATE orders SET total = 0 WHERE id = 5; DELETE FROM orders WHERE id = 6;
  INSERT INTO orders (id, note) VALUES (9001, NULL); UPDATE billing.cards SET n = 9 WHERE id = 1;
  UPDATE billing.cards SET id = 2.5 WHERE id = 2.5; DELETE FROM billing.cards WHERE id = 3.0;
  DELETE FROM log WHERE line = 'b';`;

test('SELECT reads tables of backups, with values that compare as they do in PostgreSQL', async () => {
  const {database, done} = await shop(schema);
  await database.exec(changes);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const ask = async (sql: string) => (await done('sql', '--format', 'json', sql)).trim();
  expect(await ask("SELECT count(*) AS n, sum(paid) AS p FROM backup('c').orders")).toContain('{"n":3000,"p":1499}');
  expect(await ask("SELECT id FROM backup('c').orders WHERE total > 3299.5 AND id < 3001")).toContain('"id":3000');
  expect(await ask("SELECT total, f, note FROM backup('c').public.orders WHERE id = 5")).toContain(
    '{"total":0,"f":1.25,"note":"tab\\there\\n5"}',
  );
  expect(await ask("SELECT count(*) AS n FROM backup('c').orders AS o WHERE o.id = 6")).toContain('"n":0');
  expect(await ask("SELECT sum(n) AS n, count(*) AS rows FROM backup('c').cards")).toContain('{"n":11,"rows":2}');
  expect(await ask("SELECT count(*) AS n FROM backup('c').billing.cards WHERE cards.n = 9")).toContain('"n":1');
  await expect(ask("SELECT rowid FROM backup('c').orders")).rejects.toThrow(/rowid of public\.orders is not part of/);
});

test('diff counts and prints what changed, between backups and until now', async () => {
  const {database, done} = await shop(schema);
  const expected = [
    {table: 'billing.cards', state: 'kept', added: 0, changed: 2, deleted: 1, schema: []},
    {table: 'public.log', state: 'kept', added: 0, changed: 0, deleted: 1, schema: []},
    {table: 'public.orders', state: 'kept', added: 1, changed: 1, deleted: 1, schema: []},
  ];
  const lines = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  await database.exec(changes);
  expect(lines(await done('diff', 'c', '--format', 'json'))).toEqual(expected);
  const before = ((await done('sql', '--format', 'json', 'SHOW BACKUPS IN c')).match(/\d{14}Z_full/u) ?? [])[0]!;
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(lines(await done('diff', 'c', before, 'latest', '--format', 'json'))).toEqual(expected);
  const rows = await done('diff', 'c', before, '--table', 'cards', '--rows', '--format', 'json');
  expect(rows).toContain(
    '{"table":"billing.cards","change":"changed","row":{"id":2.5,"n":2},"before":{"id":2.50,"n":2}}',
  );
  await database.exec('ALTER TABLE log ADD more int; CREATE INDEX lines ON log (line)');
  const altered = await done('diff', 'c', '--table', 'log', '--format', 'json');
  expect(altered).toContain('"column more added"');
  expect(altered).toContain('"index lines added"');
});

test('export writes CSV and JSON lines without losing a digit', async () => {
  const {database, done, desk} = await shop(schema);
  await database.exec(changes);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const jsonl = await done('export', 'c', '-', '--table', 'orders', '--format', 'jsonl');
  const first = jsonl.split('\n')[0]!;
  expect(first).toBe(
    '{"id":1,"note":"tab\\there\\n1","total":1.10,"state":"new","paid":false,"at":"2026-11-27 10:00:00+00",' +
      '"bytes":{"base64":"AP8="},"f":"NaN","big":12345678901234567890.123}',
  );
  expect(jsonl.split('\n')).toHaveLength(3001);
  const csv = await done('export', 'c', '-', '--table', 'billing.cards', '--format', 'csv');
  expect(csv).toBe('id,n\r\n1.0,9\r\n2.5,2\r\n');
  const file = await desk.bkp('export', 'c', join(cluster().folder, 'x.db'));
  expect(file.status).not.toBe(0);
  expect(file.stderr).toContain('a file that ends in .sql');
});

const load = (target: TestDatabase, script: string) =>
  execFileSync(join(cluster().bin, 'psql'), [
    ...['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...cluster().where, '-d', target.name, '-f', script, '-o', '/dev/null'],
  ]);

test('a script of a backup with increments gives psql the database back', async () => {
  const {database, done} = await shop(awkwardSchema);
  await database.exec(awkwardChanges);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const script = join(cluster().folder, `${database.name}.sql`);
  await done('export', 'c', script);
  load(target, script);
  for (const table of awkwardTables) {
    const only = table === 'public.part' ? table : `ONLY ${table}`;
    expect(await target.rows(only), table).toEqual(await database.rows(only));
  }
  const dumpOf = ({name}: TestDatabase) =>
    execFileSync(join(cluster().bin, 'pg_dump'), ['-s', ...cluster().where, '-N', '_bkp', name], {encoding: 'utf8'})
      .split('\n')
      .filter((line) => !/~bkp_|restrict/u.test(line))
      .filter((line, at, all) => line !== '' || all[at - 1] !== '');
  expect(new Set(dumpOf(target))).toEqual(new Set(dumpOf(database)));
  expect(readFileSync(script, 'utf8')).toContain('COPY "public"."generated"');
});
