import {copyFileSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {describe, expect, test} from 'vitest';
import type {BkpError} from '../../../src/errors/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {type Backup, deltaSize, restore, takeFull, takeIncrement} from '../layers.ts';
import {Database, expectComesBack, folder, full, increment, owner} from './database.ts';

const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a, b UNIQUE); CREATE TABLE other (k TEXT PRIMARY KEY, v);
  INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3); INSERT INTO other VALUES ('x', 1);`;

function own(database: Database): unknown[] {
  return database.db.prepare(`SELECT name FROM sqlite_schema WHERE name GLOB '_bkp_*' ORDER BY 1`).all();
}

function copyOf(database: Database): Database {
  const path = join(folder(), 'copy.db');
  copyFileSync(database.path, path);
  return new Database('', {path});
}

async function expectBroken(database: Database, parent: Backup, message: RegExp): Promise<void> {
  const error = await increment(database, parent).then(
    () => undefined,
    (reason: BkpError) => reason,
  );
  expect(error).toMatchObject({
    code: 'CHAIN_BROKEN',
    message: expect.stringMatching(message),
    next: expect.stringContaining('full backup'),
  });
  // A full backup starts a chain that can be continued.
  await expectContinues(database, await full(database, ['t']));
}

async function expectContinues(database: Database, backup: Backup): Promise<void> {
  // Some cases leave triggers without their log, and a connection keeps the old schema until it reads something.
  database.value('SELECT count(*) FROM t');
  database.exec('INSERT INTO t (k, b) VALUES (77, 77)');
  const next = await increment(database, backup);
  expect(kindsOf(next, 't')).toEqual([...kindsOf(backup, 't'), 'delta']);
  await expectComesBack(database, next);
}

const kindsOf = (backup: Backup, table: string) => backup.layers[table]!.map(({kind}) => kind);

describe('a table begins again, and the others continue, after', () => {
  const cases: Record<string, [string, RegExp]> = {
    'ADD COLUMN': ['ALTER TABLE t ADD COLUMN c', /its CREATE TABLE statement is not that of the backup before/],
    'DROP COLUMN': ['ALTER TABLE t DROP COLUMN a', /its CREATE TABLE statement is not that of the backup before/],
    'RENAME COLUMN': [
      'ALTER TABLE t RENAME COLUMN a TO c',
      /its CREATE TABLE statement is not that of the backup before/,
    ],
    'RENAME TO, and another table of its name': [
      'ALTER TABLE t RENAME TO old; CREATE TABLE t (k INTEGER PRIMARY KEY, a, b UNIQUE)',
      /not tracked all the time/,
    ],
    'the table was dropped and recreated': [
      'DROP TABLE t; CREATE TABLE t (k INTEGER PRIMARY KEY, a, b UNIQUE); INSERT INTO t VALUES (1, 1, 1)',
      /not tracked all the time.*trigger/,
    ],
    'the table was rebuilt': [
      'CREATE TABLE n (k INTEGER PRIMARY KEY, a, b UNIQUE); INSERT INTO n SELECT * FROM t; DROP ' +
        'TABLE t; ALTER TABLE n RENAME TO t',
      /its CREATE TABLE statement/,
    ],
    'a trigger was dropped': ['DROP TRIGGER _bkp_update_t', /trigger _bkp_update_t is missing/],
    'a trigger was changed': [
      'DROP TRIGGER _bkp_delete_t; CREATE TRIGGER _bkp_delete_t AFTER DELETE ON t BEGIN SELECT 1; END',
      /trigger _bkp_delete_t is not as this bkp makes it/,
    ],
    'an older bkp created the log': [
      'DROP TABLE _bkp_log_t; CREATE TABLE "_bkp_log_t" (seq INTEGER PRIMARY KEY, k0); INSERT INTO ' +
        '_bkp_log_t VALUES (1, 1)',
      /change log _bkp_log_t is not as this bkp makes it.*older bkp/,
    ],
    'an older bkp created the triggers': [
      `DROP TRIGGER _bkp_update_t;
       CREATE TRIGGER "_bkp_update_t" AFTER UPDATE ON "t" BEGIN INSERT INTO "_bkp_log_t" (k0) VALUES (OLD."k"); END`,
      /trigger _bkp_update_t is not as this bkp makes it.*older bkp/,
    ],
    'a unique index was added': ['CREATE UNIQUE INDEX u ON t (a)', /trigger _bkp_insert_t is not as this bkp makes it/],
    'the log was dropped': [
      'DROP TRIGGER _bkp_delete_t; DROP TRIGGER _bkp_update_t; DROP TRIGGER _bkp_insert_t; DROP ' +
        'TRIGGER _bkp_evict_t; DROP TRIGGER _bkp_move_t; DROP TRIGGER _bkp_inserted_t; DROP TABLE _bkp_log_t',
      /change log _bkp_log_t is missing/,
    ],
    'the log was emptied': ['DELETE FROM _bkp_log_t', /change log _bkp_log_t was emptied/],
    'the log was emptied before the last changes': [
      'DELETE FROM _bkp_log_t; UPDATE t SET a = 8',
      /change log _bkp_log_t has lost rows/,
    ],
    'the log was thinned out': [
      'UPDATE t SET a = 5; DELETE FROM _bkp_log_t WHERE seq = (SELECT max(seq) - 1 FROM _bkp_log_t)',
      /change log _bkp_log_t has lost rows/,
    ],
    'its mark was lost': [`DELETE FROM _bkp_marks WHERE name = 't'`, /its change log _bkp_log_t began after/],
  };
  for (const [name, [sql, message]] of Object.entries(cases)) {
    test(name, async () => {
      const database = new Database(schema);
      const base = await full(database, ['t', 'other']);
      database.exec('UPDATE t SET a = 7 WHERE k = 1');
      const last = await increment(database, base);
      await database.source.acknowledge(owner, last.mark!);
      database.exec(`UPDATE t SET a = 6 WHERE k = 1; UPDATE other SET v = 2; ${sql}`);
      // The first one is not committed: its tracking stays, and the next one takes all rows too.
      for (const expected of [message, /all rows of t are taken/]) {
        const notices: string[] = [];
        const next = await takeIncrement(database.source, owner, last, {notice: (text) => notices.push(text)});
        expect(notices).toContainEqual(expect.stringMatching(expected));
        expect(kindsOf(next, 't')).toEqual(['base']);
        expect(kindsOf(next, 'other')).toEqual(['base', 'delta']);
        await expectComesBack(database, next);
        if (expected !== message) await expectContinues(database, next);
      }
    });
  }
});

describe('a chain is not continued after', () => {
  for (const [what, sql] of Object.entries({
    'the marks were lost': 'DELETE FROM _bkp_marks',
    'tracking was removed': 'DROP TABLE _bkp_marks; DROP TABLE _bkp_meta',
  })) {
    test(what, async () => {
      const database = new Database(schema);
      const base = await full(database, ['t']);
      database.exec(`UPDATE t SET a = 6 WHERE k = 1; ${sql}`);
      await expectBroken(database, base, /does not know the backup before/);
    });
  }

  test('the database was replaced by another one', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const another = new Database(schema);
    await expectBroken(another, base, /does not know the backup before/);
    const third = new Database(schema);
    await takeFull(third.source, {tables: ['t'], track: {owner}});
    await expectBroken(third, base, /does not know the backup before/);
  });

  test('an older copy was put back', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const older = copyOf(database);
    database.exec('DELETE FROM t WHERE k = 1');
    const last = await increment(database, base);
    older.exec('DELETE FROM t WHERE k = 3; INSERT INTO t VALUES (9, 9, 9)');
    await expectBroken(older, last, /does not know the backup before.*older copy/);
  });

  test('the table was dropped', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.exec('DROP TABLE t');
    await expect(increment(database, base)).rejects.toMatchObject({code: 'TABLE_NOT_FOUND'});
  });
});

describe('a chain continues', () => {
  test('in a copy made after the last backup, with the changes made in it', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.exec('UPDATE t SET a = 7 WHERE k = 1');
    const copy = copyOf(database);
    database.exec('DELETE FROM t');
    copy.exec('INSERT INTO t VALUES (5, 5, 5)');
    const next = await increment(copy, base);
    expect(kindsOf(next, 't')).toEqual(['base']);
    await expectComesBack(copy, next);
    await expectContinues(copy, next);
  });

  test('where the file was renamed, with what changed in it', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.close();
    const path = join(folder(), 'moved.db');
    renameSync(database.path, path);
    await expectContinues(new Database('', {path}), base);
  });

  test('from a mark of an older bkp, which recorded no file', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.exec(`DROP TABLE _bkp_files; UPDATE _bkp_marks SET seq = 0 WHERE name = '_bkp_marks'`);
    await expectContinues(database, base);
  });

  test('after DDL that changes no row of it', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.exec(`CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT * FROM t;
      CREATE TRIGGER mine AFTER INSERT ON t BEGIN SELECT 1; END;
      DROP TABLE other; UPDATE t SET a = 7; VACUUM; ANALYZE; REINDEX`);
    const next = await increment(database, base);
    expect(kindsOf(next, 't')).toEqual(['base', 'delta']);
    await expectComesBack(database, next);
  });

  test('after an unfinished backup, from the backup before it', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    database.exec('UPDATE t SET a = 7 WHERE k = 1');
    await increment(database, base);
    database.exec('DELETE FROM t WHERE k = 2');
    const second = await increment(database, base);
    expect(deltaSize(second, 't')).toEqual({keys: 2, rows: 1});
    await expectComesBack(database, second);
  });

  test('when the newest backup is restored into its own database', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t', 'other']);
    await database.source.acknowledge(owner, base.mark!);
    database.exec(`DELETE FROM t WHERE k = 1; ALTER TABLE t RENAME TO t_old; DROP TABLE other`);
    await restore(database.source, base, {owner, mark: base.mark!});
    database.exec(`INSERT INTO t_old VALUES (50, 50, 50); REPLACE INTO t VALUES (9, 9, 3); DELETE FROM other`);
    const next = await increment(database, base);
    expect(deltaSize(next, 't')).toEqual({keys: 2, rows: 1});
    await expectComesBack(database, next);
    await database.source.untrack(owner);
    expect(own(database)).toEqual([]);
  });

  test('when the newest backup is restored into a new file', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const path = join(folder(), 'new.db');
    await restore(new SqliteSource(path), base, {owner, mark: base.mark!});
    const restored = new Database(`UPDATE t SET a = 'new' WHERE k = 2`, {path});
    await expectComesBack(restored, await increment(restored, base));
  });
});

describe('all rows are taken after the tracking was loaded with rows that no trigger saw', () => {
  const literal = (value: unknown) =>
    typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : value === null ? 'NULL' : String(value);

  /** As `.dump` of the sqlite3 program: triggers come after the rows. */
  function dumpOf({db}: Database): string {
    const all = db.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid').all();
    const rowsOf = (table: unknown) => {
      const read = db.prepare(`SELECT * FROM "${table}"`);
      read.setReadBigInts(true);
      return read.all().map((row) => `INSERT INTO "${table}" VALUES (${Object.values(row).map(literal).join(', ')})`);
    };
    const [tables, others] = [all.filter(({type}) => type === 'table'), all.filter(({type}) => type !== 'table')];
    const rows = tables.flatMap(({name, sql}) => [String(sql), ...rowsOf(name)]);
    return ['BEGIN', ...rows, ...others.map(({sql}) => String(sql)), 'COMMIT'].join(';\n');
  }

  const edited = (dump: string) => dump.replace(`INSERT INTO "t" VALUES (2, 2, 2);\n`, '');

  /** The same tables, filled by a program that copies each of them. */
  function copyTables(database: Database, path: string): void {
    const all = database.db.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL').all();
    const of = (kind: boolean) => all.filter(({type}) => (type === 'table') === kind);
    const db = new DatabaseSync(path);
    db.exec(
      of(true)
        .map(({sql}) => sql)
        .join(';'),
    );
    db.exec(`ATTACH '${database.path}' AS old`);
    for (const {name} of of(true)) db.exec(`INSERT INTO "${name}" SELECT * FROM old."${name}"`);
    db.exec(
      `DELETE FROM t WHERE k = 2; ${of(false)
        .map(({sql}) => sql)
        .join(';')}`,
    );
    db.close();
  }

  const load = (path: string, dump: string) => {
    const db = new DatabaseSync(path);
    db.exec(dump);
    db.close();
  };

  const byRow = /loaded from a dump, or copied row by row/;
  const loadEdited = (database: Database, path: string) => load(path, edited(dumpOf(database)));
  const loadWithoutRecord = (database: Database, path: string) =>
    load(path, `${edited(dumpOf(database))}; DELETE FROM _bkp_files`);
  test.each([
    ['an edited dump, in place of the old file', loadEdited, renameSync, byRow],
    ['an edited dump, into the old file', loadEdited, copyFileSync, byRow],
    ['a dump without the record of the file, into the old file', loadWithoutRecord, copyFileSync, byRow],
    ['tables copied by a program, in place of the old file', copyTables, renameSync, /got into another file/],
  ])('%s', async (_, write, put, reason) => {
    const database = new Database(schema);
    const base = await full(database, ['t', 'other']);
    database.exec('UPDATE t SET a = 7 WHERE k = 1');
    const loaded = join(folder(), 'loaded.db');
    write(database, loaded);
    database.close();
    put(loaded, database.path);
    const notices: string[] = [];
    const next = await takeIncrement(database.source, owner, base, {notice: (text) => notices.push(text)});
    expect(notices).toContainEqual(expect.stringMatching(reason));
    expect(kindsOf(next, 't')).toEqual(['base']);
    const after = new Database('', {path: database.path});
    expect(after.value('SELECT count(*) FROM t')).toBe(2);
    await expectComesBack(after, next);
    await expectContinues(after, next);
  });
});

describe('owners', () => {
  test('share a table, each with its own marks', async () => {
    const database = new Database(schema);
    const first = await takeFull(database.source, {tables: ['t', 'other'], track: {owner: 'one'}});
    database.exec('UPDATE t SET a = 7 WHERE k = 1');
    const second = await takeFull(database.source, {tables: ['t'], track: {owner: 'two'}});
    database.exec('DELETE FROM t WHERE k = 2');
    const increments = [
      await takeIncrement(database.source, 'one', first),
      await takeIncrement(database.source, 'two', second),
    ];
    expect(increments.map((backup) => deltaSize(backup, 't').keys)).toEqual([2, 1]);
    for (const backup of increments) await expectComesBack(database, backup);
    expect(await database.source.tracking()).toMatchObject([
      {owner: 'one', tables: ['other', 't']},
      {owner: 'two', tables: ['t']},
    ]);
    await database.source.untrack('one');
    expect(own(database)).not.toContainEqual({name: '_bkp_log_other'});
    database.exec('DELETE FROM t WHERE k = 3');
    await expectComesBack(database, await takeIncrement(database.source, 'two', increments[1]!));
    await database.source.untrack('two');
    expect(own(database)).toEqual([]);
  });

  test('that are unknown change nothing', async () => {
    const database = new Database(schema);
    await database.source.untrack('nobody');
    expect(own(database)).toEqual([]);
    const base = await full(database, ['t']);
    await database.source.untrack('nobody');
    await database.source.acknowledge(owner, 'a mark of another database');
    database.exec('DELETE FROM t WHERE k = 3');
    await expectComesBack(database, await increment(database, base));
  });
});

test('acknowledging trims the log, and no number is reused', async () => {
  const database = new Database(schema);
  let last = await full(database, ['t']);
  await database.source.acknowledge(owner, last.mark!);
  const newest = () => database.value('SELECT max(seq) FROM _bkp_log_t') as number;
  const given = new Set([newest()]);
  for (let n = 0; n < 5; n++) {
    database.exec(`UPDATE t SET a = ${n}`);
    const next = await increment(database, last);
    expect(await database.source.tracking()).toMatchObject([{owner, logRows: expect.any(Number)}]);
    await database.source.acknowledge(owner, next.mark!);
    expect(database.value('SELECT count(*) FROM _bkp_log_t')).toBe(1);
    expect(newest()).toBeGreaterThanOrEqual(Math.max(...given) + 3);
    given.add(newest());
    await expect(increment(database, last)).rejects.toMatchObject({code: 'CHAIN_BROKEN'});
    last = next;
  }
  await expectComesBack(database, last);
});

test('the identity stays with the database', async () => {
  const database = new Database(schema);
  expect(await database.source.identity()).toBeUndefined();
  await full(database, ['t']);
  const identity = await database.source.identity();
  expect(identity).toMatch(/^[0-9a-f]{32}$/);
  await full(database, ['t', 'other']);
  database.exec('VACUUM');
  expect(await copyOf(database).source.identity()).toBe(identity);
});
