import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {withConnection} from '../../../src/sources/sqlite/engine/connection.ts';
import {checkDatabase, quickCheck} from '../../../src/sources/sqlite/file/quick-check.ts';
import {folder} from './database.ts';

/** A collation that bkp's SQLite lacks: the schema names it, and SQLite resolves it only when it is used. */
function odd(): string {
  const path = join(folder(), 'app.db');
  const db = new DatabaseSync(path);
  db.function('fold', {deterministic: true}, (text: unknown) => String(text).toLowerCase());
  db.exec(`CREATE TABLE plain (a); INSERT INTO plain VALUES (1);
    CREATE TABLE checked (a CHECK (fold(a) <> '')); INSERT INTO checked VALUES ('x');
    CREATE TABLE ruled (a CHECK (a < 10)); PRAGMA ignore_check_constraints = ON; INSERT INTO ruled VALUES (11);
    CREATE TABLE sorted (a NOT NULL COLLATE NOCASE, UNIQUE (a)); INSERT INTO sorted VALUES ('x')`);
  db.enableDefensive(false);
  db.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'wordsort') WHERE name = 'sorted';
    PRAGMA writable_schema = OFF`);
  db.close();
  return path;
}

const expected = {
  damage: [],
  brokenRules: ['CHECK constraint failed in ruled'],
  unchecked: ['table checked (unknown function: fold())', 'table sorted (no such collation sequence: wordsort)'],
};

test('tables that need the application are named, and all other tables are checked', () => {
  expect(withConnection(odd(), {}, quickCheck)).toEqual(expected);
});

test('the process that checks large files reports the same faults', async () => {
  const path = odd();
  const script = join(import.meta.dirname, '../../../src/sources/sqlite/file/quick-check-process.ts');
  expect(JSON.parse(execFileSync(process.execPath, [script, path], {encoding: 'utf8'}))).toEqual(expected);
  const never = () => {
    throw new Error('a large file is not checked here');
  };
  const options = {sizeBytes: 2 ** 40, small: never};
  expect(await checkDatabase(path, {...options, signal: new AbortController().signal})).toEqual(expected);
  expect(await checkDatabase(join(path, 'none'), {...options, signal: new AbortController().signal})).toMatchObject({
    damage: [],
    unchecked: [expect.stringContaining('the file')],
  });
  await expect(checkDatabase(path, {...options, signal: AbortSignal.abort()})).rejects.toThrow();
});
