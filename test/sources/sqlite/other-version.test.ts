import {closeSync, openSync, writeSync} from 'node:fs';
import {expect, test} from 'vitest';
import {merge, takeFull} from '../layers.ts';
import {Database, full} from './database.ts';

// The application has another version of SQLite than bkp, which writes real numbers as text with other digits.

/** As if SQLite 3.40.1 had written the database last. */
function writtenByOlder(database: Database): void {
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const file = openSync(database.path, 'r+');
  writeSync(file, Buffer.from([0x00, 0x2e, 0x63, 0x01]), 0, 4, 96);
  closeSync(file);
}

const reals = `CREATE TABLE k (id INTEGER PRIMARY KEY, b, c);
  INSERT INTO k VALUES (1, 0.436158314811154083, 'x'), (2, 9.5, 'y');`;
const mergedBack = async (database: Database, dryRun = false) => {
  const backup = await takeFull(database.source, {tables: ['k']});
  database.exec('DELETE FROM k');
  writtenByOlder(database);
  const notices: string[] = [];
  const merged = await merge(database.source, backup, 'merge', {dryRun, notice: (text) => notices.push(text)});
  return {merged, notices};
};

test.each([false, true])(
  'a merge does not write entries that the application would not find (dry run %s)',
  async (dry) => {
    for (const index of [
      `CREATE INDEX ke ON k (b || 'z')`,
      `ALTER TABLE k ADD COLUMN g AS (b || 'z'); CREATE UNIQUE INDEX ke ON k (g)`,
    ]) {
      const database = new Database(`${reals} ${index}`);
      await expect(mergedBack(database, dry)).rejects.toMatchObject({
        code: 'PRECONDITION',
        message: 'rows of k cannot come back beside index ke',
        next: expect.stringContaining('TABLE k AS k_before'),
      });
      expect(database.value('SELECT count(*) FROM k')).toBe(0);
    }
  },
);

test('the step that is named can be typed for a table whose name needs quotes', async () => {
  const database = new Database(
    `CREATE TABLE "a""b" (id INTEGER PRIMARY KEY, b); INSERT INTO "a""b" VALUES (1, 0.436158314811154083);
     CREATE INDEX ke ON "a""b" (b || 'z')`,
  );
  const backup = await takeFull(database.source, {tables: ['a"b']});
  database.exec('DELETE FROM "a""b"');
  writtenByOlder(database);
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({
    next: expect.stringContaining('TABLE `a"b` AS `a"b_before`'),
  });
});

test('where the values are the same in both versions, rows come back, and REINDEX is advised', async () => {
  const database = new Database(`${reals} CREATE INDEX ke ON k (lower(c)); CREATE INDEX plain ON k (b)`);
  const {merged, notices} = await mergedBack(database);
  expect(merged).toMatchObject([{inserted: 2}]);
  const told = /^SQLite .* built indexes of computed values, ke; .* has 3\.40\.1: run REINDEX there/;
  expect(notices).toEqual([expect.stringMatching(told)]);
});

test('without another version nothing is refused and nothing is advised', async () => {
  const database = new Database(`${reals} CREATE INDEX ke ON k (b || 'z')`);
  const backup = await takeFull(database.source, {tables: ['k']});
  database.exec('DELETE FROM k');
  const notices: string[] = [];
  expect(await merge(database.source, backup, 'merge', {notice: (text) => notices.push(text)})).toMatchObject([
    {inserted: 2},
  ]);
  expect(notices).toEqual([]);
});

test('the version of the application is known also after bkp has written to the database', async () => {
  const database = new Database(reals);
  const own = (await takeFull(database.source, {tables: ['k']})).database.written_by;
  writtenByOlder(database);
  expect((await full(database, ['k'])).database.written_by).toBe('3040001');
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  expect((await full(database, ['k'])).database.written_by).toBe('3040001');
  expect(own).not.toBe('3040001');
});

test('a stored generated column that would get another value than in the backup is refused', async () => {
  const database = new Database(`CREATE TABLE k (id INTEGER PRIMARY KEY, b, g TEXT AS (b || 'z') STORED);
    INSERT INTO k (id, b) VALUES (1, 2)`);
  // As another version of SQLite would have computed it.
  database.db.enableDefensive(false);
  database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE k (id INTEGER PRIMARY KEY, b, g TEXT)'; PRAGMA writable_schema = RESET;
    UPDATE k SET g = '2.0z';
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE k (id INTEGER PRIMARY KEY, b, g TEXT AS (b || ''z'') STORED)';
    PRAGMA writable_schema = RESET`);
  expect(database.value('SELECT g FROM k')).toBe('2.0z');
  const backup = await takeFull(database.source, {tables: ['k']});
  database.exec('DELETE FROM k');
  await expect(merge(database.source, backup, 'merge')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'rows of k would come back changed; nothing was changed',
  });
  expect(database.value('SELECT count(*) FROM k')).toBe(0);
});
