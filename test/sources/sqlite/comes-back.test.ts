import {describe, expect, test} from 'vitest';
import {expectSame} from '../../helpers/sqlite-compare.ts';
import {restore, takeFull} from '../layers.ts';
import {Database, expectComesBack, full, increment} from './database.ts';

/** Restores into a new file and into a database that has other tables. */
async function bothWays(schema: string, tables: readonly string[]): Promise<void> {
  const database = new Database(schema);
  const backup = await takeFull(database.source, {tables});
  await expectComesBack(database, backup);
  const encoding = String(database.value('PRAGMA encoding'));
  const other = new Database(`PRAGMA encoding = '${encoding}'; CREATE TABLE other (x); INSERT INTO other VALUES (1)`);
  await restore(other.source, backup);
  expectSame(other.path, database.path, tables);
  expect(other.value('SELECT count(*) FROM other')).toBe(1);
}

describe('is restored unchanged', () => {
  const cases: Record<string, string> = {
    'values of all kinds, in columns of all kinds': `
      CREATE TABLE t (k INTEGER PRIMARY KEY, n, t TEXT, i INTEGER, r REAL, d DECIMAL(10, 2), b BLOB);
      WITH v (x) AS (VALUES (NULL), (0), (-0.0), (1), (1.0), (1.5), (9e999), (-9e999), (9e999 - 9e999),
        (9223372036854775807), (-9223372036854775808), (9007199254740993), (9223372036854775808.0), (1e300), (5e-324),
        (''), ('0'), ('12'), ('1.0'), ('1e3'), ('0x10'), (' 7 '), ('é'), ('😀'), ('a' || char(0) || 'b'),
        (CAST(x'ff80fe' AS TEXT)), (CAST(x'00' AS TEXT)), (x''), (x'00'), (x'c3'), (zeroblob(3)))
      INSERT INTO t (n, t, i, r, d, b) SELECT x, x, x, x, x, x FROM v`,
    STRICT: `CREATE TABLE t (k INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT;
      INSERT INTO t VALUES (1, 2, 3, '4', x'05', '006'), (2, NULL, 1e300, '', x'', 6.0)`,
    'WITHOUT ROWID, STRICT': `CREATE TABLE t (k TEXT, a ANY, PRIMARY KEY (a DESC, k)) STRICT, WITHOUT ROWID;
      INSERT INTO t VALUES ('x', 1), ('x', '1')`,
    'generated columns': `CREATE TABLE t (v AS (a * 2), k INTEGER PRIMARY KEY, a, s TEXT AS (a || 'x') STORED UNIQUE,
      w AS (s || v) CHECK (w <> ''));
      CREATE INDEX i ON t (w, v); INSERT INTO t (k, a) VALUES (1, 2), (2, 3)`,
    'defaults, checks, collations, conflict clauses': `
      CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY ON CONFLICT REPLACE, a DEFAULT (abs(-5)) CHECK (a > 0),
        b TEXT DEFAULT "quoted" COLLATE RTRIM NOT NULL, c DEFAULT CURRENT_TIMESTAMP, UNIQUE (a, b) ON CONFLICT IGNORE);
      INSERT INTO t (k) VALUES ('x'), ('X'), ('y')`,
    'rows that violate a CHECK': `CREATE TABLE t (k INTEGER PRIMARY KEY, a CHECK (a > 0));
      PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (1, -1), (2, 1)`,
    'rows that violate a foreign key': `CREATE TABLE t (k INTEGER PRIMARY KEY, p REFERENCES absent (x)
      ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO t VALUES (1, 99)`,
    'indexes of all kinds': `CREATE TABLE t (k INTEGER PRIMARY KEY, a, b);
      CREATE INDEX i1 ON t (a DESC, b COLLATE NOCASE); CREATE UNIQUE INDEX i2 ON t (lower(a)) WHERE b > 1;
      CREATE INDEX "i ""3""" ON t (a + b);
      CREATE INDEX [i 4] ON t (b) WHERE a LIKE 'x%'; CREATE INDEX 'i5' ON t (b);
      INSERT INTO t VALUES (1, 'x', 1), (2, 'X', 2), (3, 'y', 3)`,
    triggers: `CREATE TABLE t (k INTEGER PRIMARY KEY, a);
      CREATE TRIGGER tr AFTER INSERT ON t WHEN NEW.a > 0 BEGIN UPDATE t SET a = NEW.a || ';' WHERE k = NEW.k + 100;
      UPDATE t SET a = 0 WHERE k = NEW.k; END;
      CREATE TRIGGER "quoted ""name""" BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'no'); END;
      INSERT INTO t VALUES (1, 5), (2, -5)`,
    'columns named like what a segment calls its own': `CREATE TABLE t ("rowid" TEXT, _rowid_,
      k0 INTEGER PRIMARY KEY, n, t, seg, "rows", k, "select", "a ""b""", 'c', [d e], "é");
      INSERT INTO t VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)`,
    'a key named oid': `CREATE TABLE t (oid TEXT PRIMARY KEY, rowid); INSERT INTO t VALUES ('x', 5), ('y', 4)`,
    'no key, with gaps in the rowids': `CREATE TABLE t (a);
      INSERT INTO t (rowid, a) VALUES (-5, 1), (7, 2), (9223372036854775807, 3)`,
    'no key, an index, generated columns': `CREATE TABLE t (a, g AS (a + 1)); CREATE INDEX i ON t (g);
      INSERT INTO t (rowid, a) VALUES (5, 1), (7, 2)`,
    'columns added later': `CREATE TABLE t (k INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);
      ALTER TABLE t ADD COLUMN i INTEGER DEFAULT 3.0; ALTER TABLE t ADD COLUMN r REAL DEFAULT 5;
      ALTER TABLE t ADD COLUMN x TEXT DEFAULT 7;
      ALTER TABLE t ADD COLUMN nn NOT NULL DEFAULT x'00'; ALTER TABLE t ADD COLUMN g AS (i + r);
      INSERT INTO t (k) VALUES (3)`,
    'comments and odd spaces in the schema': `
      CREATE TABLE\nt /* c */ ( k INTEGER\tPRIMARY KEY, -- the key\n a )\n; CREATE  INDEX  i ON t -- x\n (a);
      INSERT INTO t VALUES (1, 2)`,
    'INTEGER PRIMARY KEY DESC, which is no rowid': `CREATE TABLE t (k INTEGER PRIMARY KEY DESC, a);
      INSERT INTO t VALUES (5, 1), (3, 2), (NULL, 3)`,
    'no row': 'CREATE TABLE t (k INTEGER PRIMARY KEY, a UNIQUE)',
  };
  for (const [name, schema] of Object.entries(cases)) {
    test(name, () => bothWays(schema, ['t']));
    test(`${name}, in UTF-16`, () => bothWays(`PRAGMA encoding = 'UTF-16le'; ${schema}`, ['t']));
  }

  test('two thousand columns', async () => {
    const columns = Array.from({length: 1999}, (_, at) => `c${at}`);
    await bothWays(
      `CREATE TABLE t (k INTEGER PRIMARY KEY, ${columns.join(', ')});
       INSERT INTO t SELECT value, ${columns.map((_, at) => `value * ${at}`).join(', ')} FROM json_each('[1, 2, 3]')`,
      ['t'],
    );
  });

  test('tables with names of all kinds', async () => {
    const names = [
      'a"b',
      "it's",
      'select',
      'é😀',
      'with space',
      '[x]',
      'a.b',
      'new\nline',
      '%s',
      '_bkpx',
      'x'.repeat(200),
      'rows',
      'seg',
    ];
    const quoted = names.map((name) => `"${name.replaceAll('"', '""')}"`);
    const database = new Database(
      quoted
        .map((name) => `CREATE TABLE ${name} (k TEXT PRIMARY KEY, "v""" UNIQUE); INSERT INTO ${name} VALUES ('x', 1)`)
        .join(';'),
    );
    expect((await database.source.describe('all')).map(({name}) => name)).toEqual(
      [...names].sort((a, b) => (a < b ? -1 : 1)),
    );
    const base = await full(database, names);
    await expectComesBack(database, base);
    for (const name of quoted) database.exec(`REPLACE INTO ${name} VALUES ('y', 1)`);
    await expectComesBack(database, await increment(database, base));
    await database.source.untrack('collection-1');
    expect(database.value(`SELECT count(*) FROM sqlite_schema WHERE name GLOB '_bkp_*'`)).toBe(0);
  });

  test("AUTOINCREMENT's counter: ahead of the rows, at its maximum, unused, set back", async () => {
    const schema = 'CREATE TABLE t (k INTEGER PRIMARY KEY AUTOINCREMENT, a)';
    const rows = 'INSERT INTO t (a) VALUES (1), (2), (3); DELETE FROM t WHERE k > 1';
    for (const sql of [
      rows,
      `${rows}; UPDATE sqlite_sequence SET seq = 9223372036854775807`,
      '',
      `${rows}; DELETE FROM sqlite_sequence`,
      `${rows}; UPDATE sqlite_sequence SET seq = 0`,
    ]) {
      await bothWays(`${schema}; ${sql}`, ['t']);
    }
    const database = new Database(`${schema}; ${rows}`);
    const base = await full(database, ['t']);
    database.exec('INSERT INTO t (a) VALUES (9); DELETE FROM t WHERE a = 9');
    await expectComesBack(database, await increment(database, base));
  });
});

describe('a new file', () => {
  for (const pageSize of [512, 1024, 4096, 65536]) {
    for (const journal of ['DELETE', 'WAL']) {
      test(`has the page size ${pageSize} and the mode ${journal}`, async () => {
        const database = new Database(`PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${pageSize === 512 ? 1 : 2};
          PRAGMA journal_mode = ${journal}; PRAGMA user_version = 77; PRAGMA application_id = -5;
          CREATE TABLE t (k TEXT PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES ('x', randomblob(10000)), ('y', 'z')`);
        const path = await expectComesBack(database, await full(database, ['t']));
        const restored = new Database('', {path});
        for (const pragma of [
          'page_size',
          'auto_vacuum',
          'journal_mode',
          'user_version',
          'application_id',
          'encoding',
        ]) {
          expect(restored.value(`PRAGMA ${pragma}`), pragma).toBe(database.value(`PRAGMA ${pragma}`));
        }
      });
    }
  }

  test('with another page size than the target database', async () => {
    const database = new Database(
      'PRAGMA page_size = 512; CREATE TABLE t (k TEXT PRIMARY KEY, a UNIQUE); ' +
        'INSERT INTO t VALUES (1, randomblob(9000))',
    );
    const target = new Database('PRAGMA page_size = 8192; CREATE TABLE other (x)');
    await restore(target.source, await full(database, ['t']));
    expectSame(target.path, database.path, ['t']);
  });
});

describe('what cannot be a member', () => {
  test('views, virtual tables, shadow tables, and tables of SQLite and bkp are refused with a hint', async () => {
    const database =
      new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY AUTOINCREMENT, a); CREATE VIEW v AS SELECT * FROM t;
      CREATE VIRTUAL TABLE f USING fts5 (x); INSERT INTO t (a) VALUES (1)`);
    await full(database, ['t']);
    const facts = await database.source.describe([
      'v',
      'f',
      'f_data',
      'sqlite_sequence',
      '_bkp_log_t',
      'none',
      'T',
      'main.t',
    ]);
    const reasons = facts.map((fact) => ('reason' in fact ? fact.reason : fact.state));
    expect(reasons).toEqual([
      expect.stringMatching(/is a view.*whole DATABASE/),
      expect.stringMatching(/is a virtual table.*whole DATABASE/),
      expect.stringMatching(/virtual table.*whole DATABASE/),
      expect.stringMatching(/belongs to SQLite/),
      expect.stringMatching(/bkp's own/),
      'absent',
      'present',
      'present',
    ]);
    expect(facts.at(-1)).toMatchObject({name: 't'});
    expect((await database.source.describe('all')).map(({name, state}) => `${name} ${state}`)).toEqual([
      'f_config present',
      'f_content present',
      'f_data present',
      'f_docsize present',
      'f_idx present',
      't present',
    ]);
  });

  test('a schema that needs functions or collations of the application is refused', async () => {
    const database = new Database();
    database.db.enableDefensive(false);
    database.db.function('mine', {deterministic: true}, (x) => x);
    database.exec(`CREATE TABLE f (k INTEGER PRIMARY KEY, a CHECK (mine(a) IS NOT 3));
      CREATE TABLE g (k INTEGER PRIMARY KEY, a);
      CREATE INDEX i ON g (mine(a)); CREATE TABLE h (k INTEGER PRIMARY KEY, a AS (mine(k)));
      CREATE TABLE c (k TEXT COLLATE NOCASE PRIMARY KEY); PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'mine') WHERE name = 'c'; PRAGMA writable_schema = OFF`);
    for (const name of ['f', 'g', 'h', 'c']) {
      expect(await database.source.describe([name])).toMatchObject([
        {state: 'unsupported', reason: expect.stringMatching(/mine.*BACKUP DATABASE/)},
      ]);
    }
  });
});
