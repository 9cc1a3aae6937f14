import {existsSync, mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {withConnection} from '../../../src/sources/sqlite/engine/connection.ts';
import {writeFromStaged} from '../../../src/sources/sqlite/restore/write-from-staged.ts';

let folder: string;
let database: string;
let staged: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-write-from-staged-'));
  database = join(folder, 'app.db');
  staged = join(folder, 'staged.db');
  withConnection(database, {create: true}, (connection) => connection.exec('PRAGMA journal_mode = WAL'));
  withConnection(staged, {create: true}, (connection) =>
    connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, randomblob(5000000))'),
  );
});

afterEach(() => rmSync(folder, {recursive: true, force: true}));

const sizeOf = (path: string) => statSync(path, {throwIfNoEntry: false})?.size ?? 0;
const createTable = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO main.t SELECT * FROM staged.t';
const bytesOf = (path: string) =>
  withConnection(path, {}, (connection) => connection.number('SELECT total(length(v)) FROM main.t'));

test('the staging file is released before the WAL is moved into the database', () => {
  let sizes: {database: number; wal: number} | undefined;
  withConnection(database, {}, (connection) => {
    const release = () => {
      sizes = {database: sizeOf(database), wal: sizeOf(`${database}-wal`)};
      rmSync(staged);
    };
    writeFromStaged(connection, staged, {write: () => connection.exec(createTable), release});
    expect(connection.all('PRAGMA database_list').map(({name}) => name)).not.toContain('staged');
  });
  expect(sizes!.wal).toBeGreaterThan(5_000_000);
  expect(sizes!.database).toBeLessThan(1_000_000);
  expect(existsSync(`${database}-wal`)).toBe(false);
  expect(bytesOf(database)).toBe(5_000_000);
});

test('beside another connection, the WAL is moved too', () => {
  withConnection(database, {}, (other) => {
    expect(other.number('SELECT count(*) FROM main.sqlite_schema')).toBe(0);
    withConnection(database, {}, (connection) => {
      writeFromStaged(connection, staged, {write: () => connection.exec(createTable), release: () => {}});
    });
    expect(sizeOf(database)).toBeGreaterThan(5_000_000);
    expect(other.number('SELECT total(length(v)) FROM main.t')).toBe(5_000_000);
  });
});

test('a reader of the state before does not stop it', () => {
  withConnection(database, {}, (reader) => {
    reader.exec('BEGIN');
    expect(reader.number('SELECT count(*) FROM main.sqlite_schema')).toBe(0);
    withConnection(database, {}, (connection) => {
      writeFromStaged(connection, staged, {write: () => connection.exec(createTable), release: () => rmSync(staged)});
    });
    expect(reader.number('SELECT count(*) FROM main.sqlite_schema')).toBe(0);
    reader.exec('COMMIT');
    expect(reader.number('SELECT total(length(v)) FROM main.t')).toBe(5_000_000);
  });
});

test('a transaction that fails releases nothing, and another one can follow', () => {
  let released = 0;
  const release = () => {
    released += 1;
  };
  const fail = () => {
    throw new Error('no');
  };
  withConnection(database, {}, (connection) => {
    expect(() => writeFromStaged(connection, staged, {write: fail, release})).toThrow('no');
    expect(connection.inTransaction).toBe(false);
  });
  expect(released).toBe(0);
  withConnection(database, {}, (connection) => {
    writeFromStaged(connection, staged, {write: () => connection.exec(createTable), release});
  });
  expect(released).toBe(1);
  expect(bytesOf(database)).toBe(5_000_000);
});
