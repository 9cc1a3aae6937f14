import {describe, expect, test} from 'vitest';
import {takeFull, takeIncrement} from '../layers.ts';
import {Database, expectComesBack, full, increment, owner} from './database.ts';

// Objects that a user removed by hand, or a schema tool that drops unknown tables.

const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a TEXT UNIQUE); CREATE UNIQUE INDEX u ON t (lower(a));
  CREATE TABLE other (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES (1, 'x'), (2, 'y');`;

const own = (database: Database) =>
  database.db
    .prepare(`SELECT type, name FROM sqlite_schema WHERE name GLOB '_bkp_*' ORDER BY type DESC, name`)
    .all()
    .map(({type, name}) => ({type: String(type), name: String(name)}));

async function tracked(): Promise<Database> {
  const database = new Database(schema);
  await full(database, ['t', 'other']);
  expect(await database.source.brokenTracking()).toEqual([]);
  return database;
}

/** A connection keeps the old schema in memory until it reads something; then it meets the missing table. */
function write(database: Database): void {
  database.value('SELECT count(*) FROM t');
  database.exec(`INSERT INTO t (a) VALUES (hex(randomblob(8))); UPDATE t SET a = a || '!'; DELETE FROM t WHERE k = 1;
    INSERT INTO other VALUES (hex(randomblob(8)), 1)`);
}

/** Each kind of object alone, and combinations that tools and users leave. */
const damages: Record<string, (name: string, type: string) => boolean> = {
  'every table is gone': (_, type) => type === 'table',
  'the logs are gone': (name) => name.startsWith('_bkp_log_'),
  'one log is gone': (name) => name === '_bkp_log_t',
  'the table of new rows is gone': (name) => name === '_bkp_row_t',
  'the marks are gone': (name) => name === '_bkp_marks',
  'marks and identity are gone': (name) => name === '_bkp_marks' || name === '_bkp_meta',
  'marks and files are gone': (name) => name === '_bkp_marks' || name === '_bkp_files',
  'every trigger is gone': (_, type) => type === 'trigger',
  'one trigger is gone': (name) => name === '_bkp_delete_t',
  'only a trigger is left': (name) => name !== '_bkp_delete_t',
  'only a log is left': (name) => name !== '_bkp_log_other',
  'only the table of new rows is left': (name) => name !== '_bkp_row_t',
  'only the identity is left': (name) => name !== '_bkp_meta',
  'only the record of the file is left': (name) => name !== '_bkp_files',
  'only the marks are left': (name) => name !== '_bkp_marks',
};

describe('broken tracking', () => {
  for (const [name, goes] of Object.entries(damages)) {
    const damaged = async () => {
      const database = await tracked();
      for (const object of own(database))
        if (goes(object.name, object.type)) database.exec(`DROP ${object.type} "${object.name}"`);
      return database;
    };

    test(`${name}: is found and can be removed`, async () => {
      const database = await damaged();
      const broken = await database.source.brokenTracking();
      if (name !== 'only the marks are left') expect(broken).not.toEqual([]);
      await database.source.removeBrokenTracking();
      write(database);
      expect(await database.source.brokenTracking()).toEqual([]);
      const base = await full(database, ['t', 'other']);
      write(database);
      await expectComesBack(database, await increment(database, base));
    });

    test(`${name}: is removed when the last owner is untracked`, async () => {
      const database = await damaged();
      await database.source.untrack(owner);
      write(database);
      expect(own(database)).toEqual([]);
    });
  }

  test('says that the application cannot write', async () => {
    const database = await tracked();
    database.exec('DROP TABLE _bkp_log_t');
    expect(() => write(database)).toThrow('_bkp_log_t');
    expect(await database.source.brokenTracking()).toEqual([
      {
        table: 't',
        detail: expect.stringMatching(/^writes to table t fail: _bkp_log_t is gone, and the triggers _bkp_/),
      },
    ]);
  });

  test('the intact tracking of another owner stays', async () => {
    const database = await tracked();
    const base = await takeFull(database.source, {tables: ['other'], track: {owner: 'two'}});
    database.exec('DROP TABLE _bkp_log_t');
    await database.source.untrack(owner);
    write(database);
    expect(own(database).map(({name}) => name)).not.toContainEqual(expect.stringMatching(/_t$/));
    await expectComesBack(database, await takeIncrement(database.source, 'two', base));
    expect(await database.source.brokenTracking()).toEqual([]);
  });

  test('a rename that does not rewrite trigger bodies breaks no writes when only the key is unique', async () => {
    const database = new Database(
      'CREATE TABLE p (k INTEGER PRIMARY KEY, a); CREATE TABLE q (k TEXT, m, a, PRIMARY KEY (k, m)) WITHOUT ROWID',
    );
    await full(database, ['p', 'q']);
    database.exec(`PRAGMA legacy_alter_table = ON; ALTER TABLE p RENAME TO p2; ALTER TABLE q RENAME TO q2;
      INSERT INTO p2 (a) VALUES (1); UPDATE p2 SET k = 7, a = 2; INSERT INTO q2 VALUES ('x', 1, 2);
      UPDATE q2 SET m = 3; DELETE FROM q2`);
    expect(await database.source.brokenTracking()).toEqual([]);
  });

  test('when another column is unique, such a rename is reported and the triggers can be removed', async () => {
    const database = await tracked();
    database.exec('PRAGMA legacy_alter_table = ON; ALTER TABLE t RENAME TO t2');
    const insert = `INSERT INTO t2 (a) VALUES ('new')`;
    expect(() => database.exec(insert)).toThrow('main.t');
    expect(await database.source.brokenTracking()).toMatchObject([
      {table: 't', detail: expect.stringMatching(/^writes to table t2 fail: it was t until a rename/)},
    ]);
    await database.source.removeBrokenTracking();
    database.value('SELECT count(*) FROM t2');
    database.exec(insert);
  });

  test('a formerly unique column can be dropped after broken tracking is removed', async () => {
    const database = new Database('CREATE TABLE s (k INTEGER PRIMARY KEY, a, b); CREATE UNIQUE INDEX ui ON s (a)');
    await full(database, ['s']);
    database.exec('DROP INDEX ui');
    expect(() => database.exec('ALTER TABLE s DROP COLUMN a')).toThrow('_bkp_');
    expect(await database.source.brokenTracking()).toMatchObject([
      {table: 's', detail: expect.stringContaining('takes all rows')},
    ]);
    await database.source.removeBrokenTracking();
    database.exec('ALTER TABLE s DROP COLUMN a');
  });

  test('the tracking of a renamed table is not reported as broken', async () => {
    const database = await tracked();
    database.exec('ALTER TABLE other RENAME TO "the other"');
    expect(await database.source.brokenTracking()).toEqual([]);
    await database.source.removeBrokenTracking();
    expect(own(database).map(({name}) => name)).toContain('_bkp_log_other');
  });

  test('a database that was never tracked is not written to', async () => {
    const database = new Database(schema);
    const before = database.value('PRAGMA data_version');
    await database.source.untrack(owner);
    await database.source.removeBrokenTracking();
    expect(await database.source.brokenTracking()).toEqual([]);
    expect(database.value('PRAGMA data_version')).toBe(before);
  });
});
