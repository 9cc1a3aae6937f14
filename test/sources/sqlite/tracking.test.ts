import {describe, expect, test} from 'vitest';
import {deltaSize} from '../layers.ts';
import {Database, expectComesBack, expectTracked, full, increment} from './database.ts';

const rows = `INSERT INTO t (k, a, b) VALUES (1, 'x', 10), (2, 'y', 20), (3, 'z', 30), (4, 'w', 40);`;

describe('rows that REPLACE evicts through another unique index', () => {
  for (const recursive of ['ON', 'OFF']) {
    const set = `PRAGMA recursive_triggers = ${recursive};`;
    const cases: Record<string, {index: string; insert: string; table?: string}> = {
      plain: {index: '(a)', insert: `(9, 'x', 1)`},
      'of several columns': {index: '(a, b)', insert: `(9, 'x', 10)`},
      partial: {index: '(a) WHERE b > 5', insert: `(9, 'x', 6)`},
      'on an expression': {index: `(upper(a) || b)`, insert: `(9, 'X', 10)`},
      'on an expression, partial': {index: '(b % 7) WHERE b > 25', insert: `(9, 'q', 37)`},
      collated: {index: '(a COLLATE NOCASE DESC)', insert: `(9, 'X', 1)`},
      'collated by its column': {
        index: '(a)',
        insert: `(9, 'X', 1)`,
        table: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b)',
      },
      'on a virtual column': {
        index: '(g)',
        insert: `(9, 'X', 1)`,
        table: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a, b, g AS (lower(a)))',
      },
      'on a stored column': {
        index: '(g, b)',
        insert: `(9, 'X', 10)`,
        table: 'CREATE TABLE t (k TEXT PRIMARY KEY, a, b, g AS (lower(a)) STORED) WITHOUT ROWID',
      },
      'given as a constraint': {
        index: '(b, a)',
        insert: `(9, 'q', 20)`,
        table: 'CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, a, b UNIQUE ON CONFLICT REPLACE)',
      },
    };
    for (const [name, {index, insert, table = 'CREATE TABLE t (k INTEGER PRIMARY KEY, a, b)'}] of Object.entries(
      cases,
    )) {
      test(`${name}, recursive_triggers ${recursive}`, async () => {
        const schema = `${table}; CREATE UNIQUE INDEX u ON t ${index}; ${rows} ${set}`;
        await expectTracked(schema, `INSERT OR REPLACE INTO t (k, a, b) VALUES ${insert}`);
        const [k, a, b] = insert.slice(1, -1).split(', ');
        await expectTracked(schema, `UPDATE OR REPLACE t SET k = ${k}, a = ${a}, b = ${b} WHERE k = 4`);
      });
    }
  }

  test('several rows through several indexes at once', async () => {
    const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE, c UNIQUE);
      INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3), (4, 4, 4, 4), (5, 5, 5, 5);`;
    await expectTracked(schema, 'REPLACE INTO t VALUES (1, 2, 3, 4)');
    await expectTracked(schema, 'UPDATE OR REPLACE t SET k = 4, a = 3, b = 2 WHERE k = 1');
  });

  test('through the rowid beside a declared key', async () => {
    const schema = `CREATE TABLE t (k TEXT PRIMARY KEY, a, b); ${rows}`;
    await expectTracked(schema, `INSERT OR REPLACE INTO t (oid, k) VALUES (2, 'new')`);
    await expectTracked(schema, `UPDATE OR REPLACE t SET _rowid_ = 3 WHERE k = '1'`);
    await expectTracked(`${schema} CREATE UNIQUE INDEX u ON t (a)`, `UPDATE OR REPLACE t SET rowid = 3 WHERE k = '1'`);
  });

  test('a NULL that is replaced by the default of its column', async () => {
    for (const [type, fallback] of [
      ['TEXT', `'it''s'`],
      ['INTEGER', `'7'`],
      ['TEXT', 'bare'],
      ['TEXT', '"quoted name"'],
      ['', '(3 + 4)'],
      ['TEXT COLLATE NOCASE', `'Z'`],
    ]) {
      const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a ${type} NOT NULL DEFAULT ${fallback} UNIQUE);
        INSERT INTO t (k) VALUES (1); INSERT INTO t VALUES (2, 'x'), (3, 'y');`;
      await expectTracked(schema, 'INSERT OR REPLACE INTO t VALUES (9, NULL)');
      await expectTracked(schema, 'UPDATE OR REPLACE t SET a = NULL WHERE k = 3');
    }
  });

  test('a default that a generated column or an expression is computed from', async () => {
    const table = `CREATE TABLE t (k INTEGER PRIMARY KEY, a NOT NULL DEFAULT 'Q', g AS (lower(a)))`;
    for (const index of ['(g)', '(upper(a))', `(g || 'x')`]) {
      await expectTracked(
        `${table}; CREATE UNIQUE INDEX u ON t ${index}; INSERT INTO t (k, a) VALUES (1, 'Q'), (2, 'r'), (3, 's')`,
        'INSERT OR REPLACE INTO t (k, a) VALUES (9, NULL)',
      );
    }
  });
});

describe('keys', () => {
  const changes = `
    UPDATE t SET k = 'A' WHERE k = 'a';
    UPDATE OR REPLACE t SET k = 'B' WHERE k = 'c';
    INSERT INTO t (k, a) VALUES ('D', 1) ON CONFLICT DO UPDATE SET k = 'd2', a = 2;
    INSERT OR IGNORE INTO t (k, a) VALUES ('E', 'ignored');
    DELETE FROM t WHERE k = 'f'; INSERT INTO t (k, a) VALUES ('F', 'again');`;
  const fill = `INSERT INTO t (k, a) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5), ('f', 6)`;
  for (const table of [
    'k TEXT COLLATE NOCASE PRIMARY KEY, a',
    'k TEXT COLLATE NOCASE PRIMARY KEY, a) WITHOUT ROWID; --',
    'k TEXT COLLATE NOCASE, a, PRIMARY KEY (k COLLATE BINARY)',
    'k TEXT COLLATE NOCASE, a, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID; --',
    'k TEXT, a, PRIMARY KEY (k COLLATE NOCASE DESC)',
    'k PRIMARY KEY, a',
  ]) {
    test(table, async () => {
      await expectTracked(`CREATE TABLE t (${table});\n${fill}`, changes);
    });
  }

  test("two keys that are equal to the column and different to the key's index", async () => {
    await expectTracked(
      `CREATE TABLE t (k TEXT COLLATE NOCASE, m, a, PRIMARY KEY (k COLLATE BINARY, m)) WITHOUT ROWID;
       INSERT INTO t VALUES ('a', 1, 'one'), ('A', 1, 'two'), ('b', 1, 'three');`,
      `UPDATE t SET a = 'changed' WHERE k = 'a' COLLATE BINARY`,
    );
  });

  test('NULL in a key, in any number of rows', async () => {
    await expectTracked(
      `CREATE TABLE t (k TEXT, m INTEGER, a, PRIMARY KEY (k, m));
       INSERT INTO t VALUES (NULL, 1, 'a'), (NULL, 1, 'b'), ('x', NULL, 'c'), (NULL, NULL, 'd'), (NULL, NULL, 'e'),
         ('x', 1, 'f');`,
      `UPDATE t SET a = 'changed' WHERE a = 'b'; DELETE FROM t WHERE a = 'd'; INSERT INTO t VALUES (NULL, NULL, 'g');
       UPDATE t SET k = NULL WHERE a = 'f'; UPDATE t SET m = 2 WHERE a = 'c'`,
    );
  });

  test('64-bit integers, blobs, reals, mixed classes in one column', async () => {
    await expectTracked(
      `CREATE TABLE t (k PRIMARY KEY, a);
       INSERT INTO t VALUES (9223372036854775807, 1), (-9223372036854775808, 2), (9007199254740993, 3),
         (9007199254740992.0, 4),
         (x'00ff', 5), ('00ff', 6), (0.1, 7), ('0.1', 8), (9e999, 9), (-9e999, 10), (CAST(x'61ff0062' AS TEXT), 11)`,
      "UPDATE t SET a = -a; UPDATE t SET k = x'00' || k WHERE a IN (-5, -11); DELETE FROM t WHERE a IN (-3, -9)",
    );
  });

  test('a WITHOUT ROWID table whose columns take every name of the rowid', async () => {
    await expectTracked(
      `CREATE TABLE t (rowid TEXT PRIMARY KEY, _rowid_, oid) WITHOUT ROWID;
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO t
         SELECT hex(i), i, -i FROM n;`,
      'DELETE FROM t WHERE oid = -7; UPDATE t SET rowid = rowid || 1 WHERE _rowid_ < 5',
    );
  });
});

describe('other changes that fire or do not fire triggers', () => {
  test("the user's triggers, that write to other tables and to the same one", async () => {
    const schema = `CREATE TABLE t (k INTEGER PRIMARY KEY, a UNIQUE, n DEFAULT 0);
      CREATE TABLE other (k INTEGER PRIMARY KEY, a);
      CREATE TRIGGER count AFTER UPDATE OF a ON t BEGIN UPDATE t SET n = n + 1 WHERE k = NEW.k;
      UPDATE t SET n = -1 WHERE k = NEW.k + 1; END;
      CREATE TRIGGER copy AFTER DELETE ON t BEGIN INSERT OR REPLACE INTO other VALUES (OLD.k, OLD.a); END;
      CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.a = 'no' BEGIN SELECT RAISE(IGNORE); END;
      INSERT INTO t (k, a) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')`;
    const changes = `UPDATE t SET a = 'x' WHERE k = 1; DELETE FROM t WHERE k = 3;
      INSERT INTO t (k, a) VALUES (5, 'no'), (6, 'f');
      INSERT OR REPLACE INTO t (k, a) VALUES (7, 'd')`;
    await expectTracked(schema, changes, ['t', 'other']);
    await expectTracked(schema, `PRAGMA recursive_triggers = ON; ${changes}`, ['t', 'other']);
  });

  test('foreign keys with actions, also within one table', async () => {
    const database = new Database(
      `CREATE TABLE t (k INTEGER PRIMARY KEY, up REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
       CREATE TABLE c (k INTEGER PRIMARY KEY, t REFERENCES t (k) ON DELETE SET NULL ON UPDATE CASCADE);
       INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, NULL); INSERT INTO c VALUES (1, 4), (2, 5), (3, 1)`,
      {foreignKeys: true},
    );
    const base = await full(database, ['t', 'c']);
    database.exec('UPDATE t SET k = 50 WHERE k = 5; DELETE FROM t WHERE k = 2; REPLACE INTO t VALUES (1, 50)');
    await expectComesBack(database, await increment(database, base));
  });

  test('DELETE without WHERE', () =>
    expectTracked(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, b); ${rows}`, 'DELETE FROM t'));

  test('VACUUM between the two', async () => {
    await expectTracked(
      `CREATE TABLE t (k TEXT PRIMARY KEY, a, b); ${rows} DELETE FROM t WHERE k = '1'`,
      `DELETE FROM t WHERE k = '2'; VACUUM; UPDATE t SET a = 'new' WHERE k = '3'`,
    );
  });

  test('an index on an expression of the rowid rules increments out', async () => {
    const {source} = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (k % 5));
      CREATE TABLE fine (k INTEGER PRIMARY KEY, a, g AS (a % 5)); CREATE UNIQUE INDEX f ON fine (g, lower(a), k);
      CREATE TABLE s (K INTEGER PRIMARY KEY, a);
      CREATE UNIQUE INDEX u ON t (g); CREATE UNIQUE INDEX v ON s (a + "k")`);
    expect(await source.describe(['t', 's', 'fine'])).toMatchObject([
      {name: 't', fullOnly: expect.stringContaining('index u')},
      {name: 's', fullOnly: expect.stringContaining('index v')},
      {name: 'fine', state: 'present'},
    ]);
    expect(await source.describe(['fine'])).toEqual([{name: 'fine', state: 'present'}]);
  });

  test('a delta names each key once, and costs nothing without a change', async () => {
    const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, b); ${rows}`);
    const base = await full(database, ['t']);
    const nothing = await increment(database, base);
    expect(nothing.layers.t).toHaveLength(1);
    for (let n = 0; n < 5; n++) database.exec(`UPDATE t SET b = ${n} WHERE k < 3; DELETE FROM t WHERE k = 4`);
    expect(deltaSize(await increment(database, nothing), 't')).toEqual({keys: 3, rows: 2});
  });

  test('changes that are rolled back leave no trace in the delta', async () => {
    const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, b); ${rows}`);
    const base = await full(database, ['t']);
    database.exec('BEGIN; UPDATE t SET b = 7; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; ROLLBACK');
    expect((await increment(database, base)).layers.t).toHaveLength(1);
  });
});

describe("a trigger's OLD and NEW that are not the stored row", () => {
  const parents: Record<string, string> = {
    'TEXT PRIMARY KEY': 'k TEXT PRIMARY KEY, v',
    'without a type': 'k PRIMARY KEY, v',
    'WITHOUT ROWID': 'k TEXT, v, PRIMARY KEY (k)) WITHOUT ROWID; --',
    'NUMERIC PRIMARY KEY': 'k NUMERIC PRIMARY KEY, v',
    'INTEGER PRIMARY KEY': 'k INTEGER PRIMARY KEY, v',
    UNIQUE: 'n TEXT PRIMARY KEY, k TEXT UNIQUE, v',
    'two columns': 'k TEXT, v TEXT, PRIMARY KEY (k, v)',
  };
  const changes = `DELETE FROM t WHERE k = '5'; UPDATE t SET k = '70' WHERE k = '7';
    UPDATE t SET v = 'new' WHERE k = '11';
    INSERT OR IGNORE INTO t (k, v) VALUES ('21', 1), ('022', 2), ('2.5e1', 3);
    INSERT OR REPLACE INTO t (k, v) VALUES ('12', 'other')`;
  for (const [name, parent] of Object.entries(parents)) {
    for (const child of ['INTEGER', 'TEXT', 'REAL', 'NUMERIC', 'BLOB']) {
      test(`${name}, referred to by ${child}`, async () => {
        const two = name === 'two columns';
        const key = two ? 'k, v' : 'k';
        const reference = `a ${child}, b TEXT, FOREIGN KEY (${two ? 'a, b' : 'a'}) REFERENCES t (${key})`;
        const columns = `(${name === 'UNIQUE' ? 'n, ' : ''}k, v)`;
        const rows = ['5', '7', '05', '1e1', '0x', '11', '12'].map(
          (k, n) => `(${name === 'UNIQUE' ? `'${n}0', ` : ''}'${/^(INTEGER|NUMERIC)/.test(name) ? n + 5 : k}', '${k}')`,
        );
        for (const deferred of ['', ' ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED']) {
          await expectTracked(
            `PRAGMA foreign_keys = ON; CREATE TABLE t (${parent});\n
             CREATE TABLE c (${reference}${deferred}); CREATE INDEX ci ON c (${two ? 'a, b' : 'a'});
             INSERT INTO t ${columns} VALUES ${rows.join(', ')}`,
            name === 'UNIQUE' ? changes.replaceAll('INTO t (k, v)', 'INTO t (k, n)') : changes,
          );
        }
      });
    }
  }

  test('a default whose value differs each time', async () => {
    for (const table of [
      'k TEXT NOT NULL DEFAULT (hex(randomblob(8))) PRIMARY KEY, v',
      'k INTEGER DEFAULT (random()), v, PRIMARY KEY (k)) WITHOUT ROWID; --',
      'k NOT NULL DEFAULT (abs(random()) % 1000), v NOT NULL DEFAULT (random()), PRIMARY KEY (v, k)',
    ]) {
      await expectTracked(
        `CREATE TABLE t (${table});\nINSERT INTO t VALUES (1, 1), (2, 2), (3, 3)`,
        'INSERT INTO t (v) VALUES (4); INSERT OR REPLACE INTO t VALUES (NULL, 5); UPDATE OR ' +
          'REPLACE t SET k = NULL WHERE k = 2',
      );
    }
  });

  test('a program with an older SQLite, which computes an inserted key twice', async () => {
    // In SQLite 3.22 and 3.28, NEW has different values in BEFORE and AFTER triggers.
    for (const [table, row] of [
      ['k INTEGER PRIMARY KEY, v', '50'],
      ['k TEXT DEFAULT (hex(randomblob(8))) PRIMARY KEY, v', `'50'`],
    ]) {
      const database = new Database(`CREATE TABLE t (${table}); INSERT INTO t VALUES (${row} || '0', 1)`);
      const base = await full(database, ['t']);
      const before = database.value(`SELECT sql FROM sqlite_schema WHERE name = '_bkp_insert_t'`);
      database.exec(`DROP TRIGGER _bkp_insert_t; INSERT INTO t VALUES (${row}, 2); ${before}`);
      await expectComesBack(database, await increment(database, base));
    }
  });

  test('a key in two forms is one key of the delta', async () => {
    const database = new Database(`CREATE TABLE t (k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('5', 1)`);
    const base = await full(database, ['t']);
    database.exec(`UPDATE t SET v = 2; INSERT INTO _bkp_log_t (k0) VALUES (5)`);
    const delta = await increment(database, base);
    expect(deltaSize(delta, 't')).toEqual({keys: 1, rows: 1});
    await expectComesBack(database, delta);
  });
});

describe('triggers that end the work on a row with RAISE(IGNORE)', () => {
  const tables: Record<string, string> = {
    'INTEGER PRIMARY KEY': 'k INTEGER PRIMARY KEY, a, b UNIQUE',
    AUTOINCREMENT: 'k INTEGER PRIMARY KEY AUTOINCREMENT, a, b UNIQUE',
    'TEXT PRIMARY KEY': `k TEXT DEFAULT '77' PRIMARY KEY, a, b`,
    'two columns': `k INTEGER DEFAULT 77, a, b UNIQUE, PRIMARY KEY (k, a)`,
    'WITHOUT ROWID': `k INTEGER NOT NULL DEFAULT 77 PRIMARY KEY, a, b) WITHOUT ROWID; --`,
  };
  const changes = [
    `INSERT INTO t (a, b) VALUES ('auto', 50)`,
    `INSERT INTO t (k, a, b) VALUES (-1, 'minus', 51), (3, 'middle', 52), (500, 'top', 53)`,
    `DELETE FROM t WHERE k = 100; INSERT INTO t (a, b) VALUES ('auto', 60)`,
    `DELETE FROM t WHERE k IN (4, 100); INSERT OR REPLACE INTO t (a, b) VALUES ('auto', 20), ('auto2', 61)`,
    `UPDATE t SET k = 6 WHERE k = 100; UPDATE t SET k = k - 3 WHERE k = 6; INSERT INTO t (a, b) VALUES ('auto', 60)`,
    `UPDATE OR REPLACE t SET b = 40 WHERE k = 1; INSERT INTO t (a, b) VALUES ('auto', 62)`,
    `DELETE FROM t; INSERT INTO t (k, a, b) VALUES (-7, 'first', 1); INSERT INTO t (a, b) VALUES ('then', 2)`,
    `REPLACE INTO t (k, a, b) VALUES (2, 'new', 20); INSERT INTO t (k, a, b) VALUES (4, 'x', 9) ON ` +
      'CONFLICT DO UPDATE SET b = 9, k = 8',
    `INSERT OR REPLACE INTO t (k, a, b) VALUES (NULL, 'default', 63)`,
  ];
  const rows = `INSERT INTO t (k, a, b) VALUES (1, 'x', 10), (2, 'y', 20), (4, 'z', 30), (100, 'w', 40)`;
  const ignoring = (kind: string) =>
    ['INSERT', 'UPDATE', 'DELETE']
      .map((event) => `CREATE ${kind} TRIGGER i${event} AFTER ${event} ON main.t BEGIN SELECT RAISE(IGNORE); END;`)
      .join('');
  const dropped = 'DROP TRIGGER iINSERT; DROP TRIGGER iUPDATE; DROP TRIGGER iDELETE';
  for (const [name, table] of Object.entries(tables)) {
    test(`${name}: a TEMP trigger of another connection, or a trigger dropped before the backup`, async () => {
      for (const change of changes) {
        const schema = `CREATE TABLE t (${table});\n ${rows};`;
        await expectTracked(schema, `${ignoring('TEMP')} ${change}`);
        if (change.includes('DELETE')) await expectTracked(schema, `${ignoring('')} ${change}; ${dropped}`);
      }
    });
  }

  test("the row with the largest key is deleted while a user's trigger deletes the row below it", async () => {
    await expectTracked(
      `CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1), (50, 2), (60, 3), (100, 4);
       CREATE TRIGGER more BEFORE DELETE ON t WHEN OLD.k > 50
       BEGIN DELETE FROM t WHERE k = OLD.k - 40 OR k = OLD.k - 10; END`,
      `${ignoring('TEMP')} DELETE FROM t WHERE k = 100; INSERT INTO t (a) VALUES (5), (6)`,
    );
  });

  test('a permanent user trigger no longer rules increments out', async () => {
    for (const change of changes)
      await expectTracked(`CREATE TABLE t (${tables['TEXT PRIMARY KEY']}); ${rows}; ${ignoring('')}`, change);
  });

  test('a NULL that is replaced by a default whose value differs each time: all rows are taken', async () => {
    const schema =
      'CREATE TABLE t (k TEXT NOT NULL DEFAULT (hex(randomblob(8))) PRIMARY KEY, a); INSERT INTO t ' +
      `VALUES ('x', 1), ('y', 2)`;
    for (const change of [
      'INSERT OR REPLACE INTO t VALUES (NULL, 3)',
      `UPDATE OR REPLACE t SET k = NULL WHERE k = 'y'`,
    ]) {
      const database = new Database(schema);
      const base = await full(database, ['t']);
      database.exec(`${ignoring('TEMP')} ${change}`);
      const next = await increment(database, base);
      expect(next.layers.t).toMatchObject([{kind: 'base'}]);
      await expectComesBack(database, next);
      database.exec('UPDATE t SET a = 9');
      const last = await increment(database, next);
      expect(last.layers.t!.at(-1)).toMatchObject({kind: 'delta'});
      await expectComesBack(database, last);
    }
  });

  test('the largest rowid makes SQLite choose random ones: all rows are taken', async () => {
    const largest = '9223372036854775807';
    const hidden = `${ignoring('TEMP')} INSERT INTO t (a) VALUES ('random')`;
    for (const [before, change] of [
      [`INSERT INTO t VALUES (${largest}, 1)`, hidden],
      [`INSERT INTO t VALUES (${largest}, 1)`, `${hidden}; DELETE FROM t WHERE k = ${largest}`],
      ['', `${ignoring('TEMP')} INSERT INTO t VALUES (${largest}, 1); ${hidden.replace(ignoring('TEMP'), '')}`],
      ['INSERT INTO t VALUES (9223372036854775806, 1)', `${hidden}, ('another'); DELETE FROM t WHERE k > 4000`],
    ]) {
      const database = new Database(
        `CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1); ${before}`,
      );
      const base = await full(database, ['t']);
      database.exec(change!);
      const next = await increment(database, base);
      expect(next.layers.t).toMatchObject([{kind: 'base'}]);
      await expectComesBack(database, next);
      database.exec(`DROP TRIGGER IF EXISTS temp.iDELETE; DELETE FROM t WHERE k > 4000`);
      const gone = await increment(database, next);
      await expectComesBack(database, gone);
      database.exec(`INSERT INTO t VALUES (50, 'low')`);
      const last = await increment(database, gone);
      expect(last.layers.t!.at(-1)).toMatchObject({kind: 'delta'});
      await expectComesBack(database, last);
    }
  });

  test('an increment after deletes of the largest keys takes few unchanged rows', async () => {
    const database = new Database(
      `CREATE TABLE t (k INTEGER PRIMARY KEY, a);
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t
         SELECT i * 3, i FROM n`,
    );
    const base = await full(database, ['t']);
    database.exec(`DELETE FROM t WHERE k > 59000; INSERT INTO t (a) VALUES ('next')`);
    const delta = await increment(database, base);
    const gone = 20000 - Math.floor(59000 / 3);
    expect(deltaSize(delta, 't').keys).toBeLessThanOrEqual(2 * gone + 1);
    await expectComesBack(database, delta);
    database.exec('UPDATE t SET a = 1 WHERE k = 3');
    expect(deltaSize(await increment(database, delta), 't')).toEqual({keys: 1, rows: 1});
  });
});

test("tracking does not block the user's ALTER TABLE", async () => {
  const database = new Database(`CREATE TABLE t (k TEXT PRIMARY KEY, a, b, c NOT NULL DEFAULT 1, g AS (a + 1));
    CREATE UNIQUE INDEX u ON t (lower(a)); CREATE UNIQUE INDEX v ON t (g)`);
  await full(database, ['t']);
  database.exec(
    'ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME COLUMN a TO x; ALTER TABLE t ADD COLUMN d DEFAULT 5',
  );
  database.exec(`ALTER TABLE t RENAME TO "other one"; INSERT INTO "other one" (k, x) VALUES ('a', 1)`);
  await database.source.untrack('collection-1');
  database.exec(`INSERT INTO "other one" (k, x) VALUES ('b', 2)`);
  expect(database.value(`SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_bkp%' ESCAPE '\\'`)).toBe(0);
});
