import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {describe, expect, test} from 'vitest';
import {SqliteSource} from '../../src/sources/sqlite/index.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {type Backup, type Form, fillStaging, takeFull} from '../sources/layers.ts';
import {rowStream} from '../sources/row-stream.ts';
import {Database, folder, full, increment} from '../sources/sqlite/database.ts';

/**
 * Content that a database can hold although its own schema would refuse or change it today. For each entry, the
 * database is restored bit for bit, from a full backup and from an increment, into a new file and into an existing
 * database; or its backup is refused, with the reason.
 */
type Way = {
  schema: string;
  /** Edits of sqlite_schema: name of the object, its new SQL; or its new name as the index of a constraint. */
  edit?: Readonly<Record<string, string>>;
  /** Statements after the edits. */
  after?: string;
  /** Between the full backup and the increment. */
  changes?: string;
  /** Reports of the restore. */
  told?: RegExp;
  /** Objects that are not restored, as the restore reports them. */
  without?: readonly string[];
};

const ways: Record<string, Way> = {
  'NOT NULL came later': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, NULL), (2, 5)',
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a NOT NULL)'},
    changes: 'INSERT INTO t VALUES (3, 1); DELETE FROM t WHERE k = 2',
    told: /NULL value in t\.a/,
  },
  'NOT NULL that replaces NULL by the default came later': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, NULL), (2, 5)',
    edit: {t: `CREATE TABLE t (k INTEGER PRIMARY KEY, a NOT NULL ON CONFLICT REPLACE DEFAULT 'new')`},
    changes: 'INSERT INTO t VALUES (3, NULL)',
    told: /NULL value in t\.a/,
  },
  'NOT NULL that skips a row came later': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, NULL), (2, 5)',
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a NOT NULL ON CONFLICT IGNORE)'},
    changes: 'DELETE FROM t WHERE k = 2',
    told: /NULL value in t\.a/,
  },
  'CHECK came later': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, -1), (2, 5)',
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a CHECK (a > 0))'},
    changes: 'INSERT INTO t VALUES (3, 1)',
  },
  'CHECK that raises an error': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, '{'), (2, '{}')`,
    edit: {t: `CREATE TABLE t (k INTEGER PRIMARY KEY, a CHECK (json_extract(a, '$.x') IS NULL))`},
    changes: `INSERT INTO t VALUES (3, '[]')`,
  },
  'STRICT came later': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d BLOB);
      INSERT INTO t VALUES (1, 'x', x'01', 'y', 5), (2, 1, 'x', 1.5, x'02')`,
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d BLOB) STRICT'},
    changes: `INSERT INTO t VALUES (3, 3, '3', 3, x'03')`,
    told: /value in t\.a/,
  },
  'the type of a column changed, TEXT to INTEGER': {
    schema:
      `CREATE TABLE t (k INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, '05'), (2, '5'), (3, ` +
      `'1e1'), (4, 'x')`,
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER)'},
    changes: `INSERT INTO t VALUES (5, '06'); UPDATE t SET k = 6 WHERE k = 1`,
    told: /TEXT value in t\.a/,
  },
  'the type of a column changed, INTEGER to TEXT, with an index': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER UNIQUE, b REAL); CREATE INDEX i ON t (b, a);
      INSERT INTO t VALUES (1, 5, 2), (2, 7, 2.5)`,
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT)'},
    changes: 'DELETE FROM t WHERE k = 2',
    told: /NUMERIC value in t\.a/,
  },
  'the type of the key changed': {
    schema:
      `CREATE TABLE t (k BLOB PRIMARY KEY, a); INSERT INTO t VALUES (5, 'integer'), ('5', 'text'), ` +
      `(x'35', 'blob')`,
    edit: {t: 'CREATE TABLE t (k NUMERIC PRIMARY KEY, a)'},
    told: /TEXT value in t\.k/,
  },
  'a unique index was added later': {
    schema:
      'CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 1), (2, 1), (3, 2)',
    edit: {i: 'CREATE UNIQUE INDEX i ON t (a)'},
    changes: 'INSERT INTO t VALUES (4, 4)',
    told: /violate its own UNIQUE/,
  },
  'a unique index on an expression was added later': {
    schema:
      'CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (lower(a)) WHERE k > 0; INSERT ' +
      `INTO t VALUES (1, 'x'), (2, 'X')`,
    edit: {i: 'CREATE UNIQUE INDEX i ON t (lower(a)) WHERE k > 0'},
    changes: `INSERT INTO t VALUES (4, 'y')`,
    told: /violate its own UNIQUE/,
  },
  'UNIQUE that replaces rows was added later': {
    schema:
      'CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 1), (2, 1), (3, 2)',
    edit: {i: 'sqlite_autoindex_t_1', t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT REPLACE)'},
    changes: 'INSERT INTO t VALUES (4, 4); DELETE FROM t WHERE k = 3',
    told: /violate its own UNIQUE/,
  },
  'UNIQUE that skips rows was added later, WITHOUT ROWID': {
    schema: `CREATE TABLE t (k TEXT, a, PRIMARY KEY (k DESC)) WITHOUT ROWID; CREATE INDEX i ON t (a DESC);
      INSERT INTO t VALUES ('x', 1), ('y', 1), ('z', 2)`,
    edit: {
      i: 'sqlite_autoindex_t_2',
      t: 'CREATE TABLE t (k TEXT, a, PRIMARY KEY (k DESC), UNIQUE (a DESC) ON CONFLICT IGNORE) WITHOUT ROWID',
    },
    changes: `INSERT INTO t VALUES ('w', 4); DELETE FROM t WHERE k = 'z'`,
    told: /violate its own UNIQUE/,
  },
  'a stored generated column is not what its expression gives today': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (a + 1) STORED UNIQUE); INSERT INTO t (a) VALUES (1), (2)',
    edit: {t: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (a + 2) STORED UNIQUE)'},
    changes: 'INSERT INTO t (a) VALUES (10)',
  },
  'a stored generated column whose expression raises an error': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (lower(a)) STORED); INSERT INTO t (a) VALUES ('{'), ('{}')`,
    edit: {t: `CREATE TABLE t (k INTEGER PRIMARY KEY, a, g AS (json_extract(a, '$.x')) STORED)`},
    changes: `INSERT INTO t (a) VALUES ('[]')`,
  },
  'no key, a stored generated column': {
    schema:
      'CREATE TABLE t (a, g AS (a + 1) STORED UNIQUE, h AS (g + 1)); INSERT INTO t (rowid, a) VALUES (7, 1), (-3, 2)',
    edit: {t: 'CREATE TABLE t (a, g AS (a + 2) STORED UNIQUE, h AS (g + 1))'},
  },
  'a key that names a column twice': {
    schema: `CREATE TABLE t (a, b, PRIMARY KEY (a, a)); INSERT INTO t VALUES (1, 2), (NULL, 3)`,
    changes: 'INSERT INTO t VALUES (2, 2); DELETE FROM t WHERE a = 1',
  },
  'a key that names a column twice, WITHOUT ROWID': {
    schema: `CREATE TABLE t (a, b, PRIMARY KEY (b, a, b)) WITHOUT ROWID; INSERT INTO t VALUES (1, 2), (1, 3)`,
    changes: 'INSERT INTO t VALUES (2, 2); DELETE FROM t WHERE b = 3',
  },
  'a key whose conflicts replace rows': {
    schema:
      'CREATE TABLE t (k TEXT PRIMARY KEY ON CONFLICT REPLACE, a UNIQUE ON CONFLICT REPLACE); INSERT ' +
      `INTO t VALUES ('x', 1), (NULL, NULL), (NULL, 2)`,
    changes: `INSERT INTO t VALUES ('y', 1), (NULL, 5)`,
  },
  'literals in double quotes': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a DEFAULT "x" CHECK (a <> "y"), g AS (a || "z"));
      CREATE INDEX i ON t (a || "w") WHERE a <> "v";
      INSERT INTO t DEFAULT VALUES`,
    changes: 'INSERT INTO t DEFAULT VALUES',
  },
  'counters of AUTOINCREMENT that are not one integer': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES (1), (2);
      UPDATE sqlite_sequence SET seq = '9a';
      INSERT INTO sqlite_sequence VALUES ('t', 1.5), ('t', NULL), ('t', x'00'), ('t', 7)`,
    changes: `UPDATE sqlite_sequence SET seq = 12.5 WHERE seq = 7; INSERT INTO t (a) VALUES (3)`,
  },
  'rowids at both ends': {
    schema:
      'CREATE TABLE t (k INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (9223372036854775807, 1), ' +
      '(-9223372036854775808, 2), (0, 3)',
    changes: 'DELETE FROM t WHERE k > 0; INSERT INTO t VALUES (-1, 1)',
  },
  'a foreign key to a table that is gone, of a type that differs': {
    schema:
      'CREATE TABLE t (k TEXT PRIMARY KEY, p INTEGER REFERENCES gone (x) ON DELETE CASCADE); INSERT ' +
      `INTO t VALUES ('05', 1)`,
    changes: `INSERT INTO t VALUES ('5', 1)`,
  },
};

/** Refused when it is backed up: by `describe`, or by the snapshot when it asks for tracking. */
const refused: Record<string, Way & {reason: RegExp; tracked?: true}> = {
  'two thousand columns and no key': {
    schema: `CREATE TABLE t (${columns(2000)})`,
    reason: /too many columns.*BACKUP DATABASE/,
  },
  'a key of more columns than a query has terms': {
    schema: `CREATE TABLE t (${columns(1001)}, PRIMARY KEY (${columns(1001)}))`,
    reason: /cannot copy t .*BACKUP DATABASE/,
  },
  'a key of more columns than triggers compare': {
    schema: `CREATE TABLE t (${columns(600)}, PRIMARY KEY (${columns(600)}))`,
    reason: /too wide for the triggers/,
    tracked: true,
  },
  'a unique index with a condition as deep as SQLite takes': {
    schema: `CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX i ON t (a${' + a'.repeat(990)})`,
    reason: /too wide for the triggers.*depth/,
    tracked: true,
  },
  'a statement with a comment in its first words': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY)',
    edit: {t: 'CREATE /* mine */ TABLE t (k INTEGER PRIMARY KEY)'},
    reason: /edit of the schema.*BACKUP DATABASE/,
  },
  'a trigger with a comment in its first words': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY); CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END',
    edit: {tr: 'CREATE /* mine */ TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END'},
    reason: /edit of the schema.*BACKUP DATABASE/,
  },
  'a schema with bytes that are not text': {
    schema: 'CREATE TABLE t (k INTEGER PRIMARY KEY, a)',
    after: `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = CAST(
      CAST('CREATE TABLE t (k INTEGER PRIMARY KEY, a DEFAULT ''' AS BLOB) || x'ff' || CAST(''')' AS BLOB) AS TEXT)`,
    reason: /not text.*BACKUP DATABASE/,
  },
  'a text key that holds integers, from before an edit': {
    schema: 'CREATE TABLE t (k BLOB, m, PRIMARY KEY (k, m)); INSERT INTO t VALUES (1, 5)',
    edit: {t: 'CREATE TABLE t (k BLOB, m TEXT, PRIMARY KEY (k, m))'},
    reason: /another type than its columns store/,
    tracked: true,
  },
  'a real key that holds text like numbers, from before an edit, WITHOUT ROWID': {
    schema: `CREATE TABLE t (a, k BLOB, PRIMARY KEY (a, k)) WITHOUT ROWID; INSERT INTO t VALUES (1, 'x'), (2, '5')`,
    edit: {t: 'CREATE TABLE t (a, k REAL, PRIMARY KEY (a, k)) WITHOUT ROWID'},
    reason: /another type than its columns store/,
    tracked: true,
  },
  'a numeric key that holds text like numbers, from before an edit': {
    schema: `CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES ('x'), ('1e1')`,
    edit: {t: 'CREATE TABLE t (k NUMERIC PRIMARY KEY)'},
    reason: /another type than its columns store/,
    tracked: true,
  },
};

describe('is refused when it is backed up', () => {
  for (const [name, way] of Object.entries(refused)) {
    test(name, async () => {
      const database = build(way);
      const [facts] = await database.source.describe(['t']);
      if (way.tracked !== true) {
        expect(facts).toMatchObject({state: 'unsupported', reason: expect.stringMatching(way.reason)});
        return;
      }
      for (const form of [undefined, 'rows'] as const) {
        await expect(full(database, ['t'], undefined, form), form).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          cause: expect.stringMatching(way.reason),
        });
      }
      await expectBack(database, await takeFull(database.source, {tables: ['t']}), {...way, told: /|value in t/});
    });
  }
});

test('two keys that are equal by their own collation are refused, WITHOUT ROWID', async () => {
  const database = build({
    schema: `CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('a'), ('A'), ('b')`,
    edit: {t: 'CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID'},
  });
  await expect(takeFull(database.source, {tables: ['t']})).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    cause: expect.stringMatching(/collation considers equal/),
  });
});

test.each([
  ['CREATE TABLE t (k TEXT PRIMARY KEY, v)', 'CREATE TABLE t (k TEXT, v, PRIMARY KEY (k DESC))'],
  [
    'CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID',
    'CREATE TABLE t (k TEXT, v, PRIMARY KEY (k DESC)) WITHOUT ROWID',
  ],
  ['CREATE TABLE t (k BLOB PRIMARY KEY, v)', 'CREATE TABLE t (k NUMERIC PRIMARY KEY, v)'],
  ['CREATE TABLE t (k TEXT PRIMARY KEY, v)', 'CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v)'],
])('reading the keys of a table in another order than its index has ends: %s, edited to %s', async (schema, sql) => {
  const database = build({
    schema: `${schema}; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT OR IGNORE INTO t SELECT CASE i % 4 WHEN 0 THEN i WHEN 1 THEN CAST(i - 1 AS TEXT) WHEN 2 THEN
        'a' || i ELSE 'A' || i END, zeroblob(500) FROM n`,
    edit: {t: sql},
  });
  const snapshot = await database.source.snapshot({tables: ['t']});
  let rows = 0;
  const reading = async () => {
    for await (const segment of await rowStream(snapshot, 't')) rows += segment.rows;
  };
  // Collections refuse the backup when the count is not that of the table.
  await reading().catch((error: unknown) => expect(error).toMatchObject({code: 'SOURCE_DAMAGED'}));
  expect(rows).toBeLessThanOrEqual(3000);
  await snapshot.close();
});

test('an index that cannot be built from its rows is left out and named', async () => {
  const database = build({
    schema:
      'CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (k, a); INSERT INTO t VALUES ' +
      `(1, '{'), (2, '{}')`,
    edit: {i: `CREATE INDEX i ON t (json_extract(a, '$.x'))`},
  });
  const backup = await takeFull(database.source, {tables: ['t'], form: 'rows'});
  const notices: string[] = [];
  const target = new Database('');
  const staging = await fillStaging(target.source, backup, 'test', (text) => notices.push(text));
  await staging.publish({});
  expect(notices.join()).toMatch(/index of t is left out.*malformed JSON.*CREATE INDEX i/);
  expect(target.value('SELECT group_concat(a) FROM t')).toBe('{,{}');
  expect(target.value(`SELECT count(*) FROM sqlite_schema WHERE name = 'i'`)).toBe(0);
});

function columns(count: number): string {
  return Array.from({length: count}, (_, at) => `c${at}`).join(', ');
}

function build({schema, edit = {}, after = ''}: Way): Database {
  const database = new Database(schema);
  const {db} = database;
  db.enableDefensive(false);
  db.exec('PRAGMA writable_schema = ON');
  for (const [name, sql] of Object.entries(edit)) {
    const renamed = sql.startsWith('sqlite_autoindex');
    const put = renamed ? 'sql = NULL, name = ?' : 'sql = ?';
    db.prepare(`UPDATE sqlite_schema SET ${put} WHERE name = ?`).run(sql, name);
  }
  db.exec(`PRAGMA writable_schema = RESET; ${after}`);
  return database;
}

/** The source, and the part of the restored database that must equal it. */
async function expectBack(database: Database, backup: Backup, way: Way): Promise<void> {
  const encoding = String(database.value('PRAGMA encoding'));
  const targets = [
    new SqliteSource(join(folder(), 'new.db')),
    new Database(`PRAGMA encoding = '${encoding}'; CREATE TABLE other (x); INSERT INTO other VALUES (1)`).source,
  ];
  for (const target of targets) {
    const notices: string[] = [];
    const staging = await fillStaging(target, backup, 'test', (text) => notices.push(text));
    await staging.publish({});
    if (way.told === undefined) expect(notices).toEqual([]);
    else expect(notices.join('\n')).toMatch(way.told);
    const tables = backup.schemas.map(({name}) => name);
    expect(imageOf(target.description.slice('sqlite::path='.length), tables)).toEqual(imageOf(database.path, tables));
  }
}

/** Duplicates in the entries of an index that comes back as it was are only seen by integrity_check. */
const ofDuplicates = /violate its own UNIQUE/;

describe.each<Form>([undefined, 'rows'])('is restored bit for bit (%s)', (form) => {
  for (const [name, odd] of Object.entries(ways)) {
    const isSilent = form !== 'rows' && odd.told?.source === ofDuplicates.source;
    const way = isSilent ? {...odd, told: new RegExp(`^$|${ofDuplicates.source}`)} : odd;
    test(name, async () => {
      const database = build(way);
      const tables = (await database.source.describe('all')).flatMap((fact) =>
        fact.state === 'present' ? [fact.name] : [],
      );
      const base = await full(database, tables, undefined, form).catch((error: Error) => error);
      if (base instanceof Error) {
        // Only the untracked kind is possible.
        expect(way.changes).toBeUndefined();
        await expectBack(database, await takeFull(database.source, {tables, form}), way);
        return;
      }
      await expectBack(database, base, way);
      database.exec(way.changes!);
      await expectBack(database, await increment(database, base, form), way);
      // Another full backup, based on the previous one.
      await expectBack(database, await full(database, tables, base, form), way);
    });
  }
});

test('segments of an older bkp, without stored generated columns, can be restored', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a INT, g AS (a + 1) STORED UNIQUE);
    INSERT INTO t (a) VALUES (1), (2)`);
  const base = await full(database, ['t']);
  const older = new DatabaseSync(':memory:');
  older.exec('CREATE TABLE rows (k INTEGER PRIMARY KEY, a); INSERT INTO rows VALUES (1, 1), (2, 2)');
  const segments = [{bytes: older.serialize(), rows: 2}];
  await expectBack(database, {...base, layers: {t: [{kind: 'base', segments, cuts: ''}]}}, {schema: ''});
});

test('indexes on computed values are named when another SQLite version wrote the database', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, v AS (a || 'x'), s AS (a || 'y') STORED);
    CREATE INDEX i ON t (lower(a)); CREATE INDEX j ON t (v); CREATE INDEX plain ON t (a, s)`);
  const backup = await takeFull(database.source, {tables: ['t'], form: 'rows'});
  for (const [written_by, told] of [
    ['3040001', /^SQLite .* built indexes of computed values, i, j; the application has 3\.40\.1: run REINDEX/],
    [String(backup.database.written_by), /^$/],
  ] as const) {
    const notices: string[] = [];
    const older = {...backup, database: {...backup.database, written_by}};
    const staging = await fillStaging(new SqliteSource(join(folder(), 'new.db')), older);
    await staging.publish({notice: (text) => notices.push(text)});
    expect(notices.join()).toMatch(told);
  }
});
