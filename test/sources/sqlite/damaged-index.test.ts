import {expect, test} from 'vitest';
import {takeFull} from '../layers.ts';
import {Database} from './database.ts';

/** A table with a row that its key does not have. */
function withoutEntry(): Database {
  const database = new Database(`CREATE TABLE t (k TEXT PRIMARY KEY, a); INSERT INTO t VALUES ('a', 1), ('b', 2)`);
  const {db} = database;
  db.enableDefensive(false);
  const index = `sqlite_autoindex_t_1`;
  const root = database.value(`SELECT rootpage FROM sqlite_schema WHERE name = '${index}'`);
  database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE t (k TEXT, a)' WHERE name = 't';
    DELETE FROM sqlite_schema WHERE name = '${index}';
    PRAGMA writable_schema = RESET;
    INSERT INTO t VALUES ('c', 3);
    PRAGMA writable_schema = ON;
    INSERT INTO sqlite_schema VALUES ('index', '${index}', 't', ${root}, NULL);
    UPDATE sqlite_schema SET sql = 'CREATE TABLE t (k TEXT PRIMARY KEY, a)' WHERE name = 't';
    PRAGMA writable_schema = RESET`);
  return database;
}

test.for(['rows', undefined] as const)(
  'a key that lacks a row is found, whichever way rows are taken: %s',
  async (form) => {
    const database = withoutEntry();
    expect(database.value('PRAGMA integrity_check')).toContain('wrong # of entries in index');
    await expect(takeFull(database.source, {tables: ['t'], form})).rejects.toThrow(
      form === 'rows' ? 'rows of t: expected 2 to be 3' : 'has 2 records, and there are 3 rows',
    );
  },
);
