import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {requireTable} from '../../../src/sources/sqlite/catalog/catalog.ts';
import {Connection} from '../../../src/sources/sqlite/engine/connection.ts';
import {schemaRows} from '../../../src/sources/sqlite/engine/schema-rows.ts';
import {exchangeRoots} from '../../../src/sources/sqlite/engine/schema-table.ts';
import {removeTracking, trackedTables} from '../../../src/sources/sqlite/tracking/inventory.ts';
import {ensureTracking} from '../../../src/sources/sqlite/tracking/tracking.ts';

let folder: string;
let connection: Connection;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-schema-rows-'));
  connection = new Connection(join(folder, 'app.db'), {create: true});
  connection.exec('CREATE TABLE "Größe" (id INTEGER PRIMARY KEY); CREATE TABLE b (x UNIQUE); CREATE INDEX bx ON b (x)');
});
afterEach(() => {
  connection.close();
  rmSync(folder, {recursive: true, force: true});
});

const names = () => schemaRows(connection).all.map(({name}) => name);

test('rows are found by name, and by their table, as SQLite compares names', () => {
  const rows = schemaRows(connection);
  expect(rows.find('table', 'Größe')?.sql).toBe('CREATE TABLE "Größe" (id INTEGER PRIMARY KEY)');
  expect(rows.find('table', 'größe')).toBeUndefined();
  expect(rows.named('table', 'gRöße')).toHaveLength(1);
  expect(rows.named('index', 'B')).toEqual([]);
  expect(rows.of('B').map(({type, sql}) => [type, sql === null])).toEqual([
    ['table', false],
    ['index', true],
    ['index', false],
  ]);
});

test('they are read once, and again after the schema changed in whichever way', () => {
  const first = schemaRows(connection);
  connection.run('INSERT INTO b VALUES (1)');
  expect(schemaRows(connection)).toBe(first);
  connection.exec('CREATE TABLE c (x)');
  expect(names()).toContain('c');
  // After the rollback, the next change has the same version as the one that was rolled back.
  connection.exec('BEGIN; CREATE TABLE d (x)');
  expect(names()).toContain('d');
  connection.rollback();
  connection.exec('CREATE TABLE e (x)');
  expect([names().includes('d'), names().includes('e')]).toEqual([false, true]);
  connection.exec('SAVEPOINT s; CREATE TABLE f (x)');
  expect(names()).toContain('f');
  connection.exec('ROLLBACK TO s; CREATE TABLE g (x); RELEASE s');
  expect([names().includes('f'), names().includes('g')]).toEqual([false, true]);
  const roots = () => ['e', 'g'].map((name) => schemaRows(connection).find('table', name)!.root);
  const before = roots();
  exchangeRoots(connection, 'e', 'g');
  expect(roots()).toEqual(before.toReversed());
  const other = new DatabaseSync(join(folder, 'app.db'));
  other.exec('CREATE TABLE h (x)');
  other.close();
  expect(names()).toContain('h');
});

test('tracking of many tables begins and ends without reading the schema for each one', () => {
  for (let n = 0; n < 40; n++) connection.exec(`CREATE TABLE t${n} (id INTEGER PRIMARY KEY)`);
  const tables = Array.from({length: 40}, (_, n) => requireTable(connection, `t${n}`));
  const all = vi.spyOn(connection, 'all');
  connection.write(() => ensureTracking(connection, tables));
  expect(trackedTables(connection)).toHaveLength(40);
  connection.write(() =>
    removeTracking(
      connection,
      tables.map(({name}) => name),
    ),
  );
  expect(trackedTables(connection)).toEqual([]);
  const reads = all.mock.calls.filter(([sql]) => sql.includes('main.sqlite_schema'));
  expect(reads.length).toBeLessThan(10);
});
