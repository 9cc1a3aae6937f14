import {join} from 'node:path';
import {expect, test} from 'vitest';
import {expectSame, imageOf} from '../helpers/sqlite-compare.ts';
import {merge, restore, takeFull} from '../sources/layers.ts';
import {Database, expectComesBack, filesIn, folder, full, increment} from '../sources/sqlite/database.ts';

const orders = `CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, total REAL,
    gross REAL AS (total * 1.2) STORED);
  CREATE INDEX by_total ON orders (total) WHERE total > 1;
  CREATE TABLE audit (text);
  CREATE TRIGGER note AFTER INSERT ON orders BEGIN INSERT INTO audit VALUES (NEW.id); END;
  INSERT INTO orders (email, total) VALUES ('a', 1), ('b', 2), ('c', 3);`;
const change = `ALTER TABLE orders ADD COLUMN note TEXT; UPDATE orders SET note = 'n', total = 9 WHERE id = 2;
  DELETE FROM orders WHERE id = 1; INSERT INTO orders (email, total) VALUES ('d', 4);
  CREATE INDEX by_note ON orders (note); DROP INDEX by_total;
  CREATE TRIGGER newer AFTER DELETE ON orders BEGIN DELETE FROM audit; END;`;
const untracked = (database: Database, ...tables: string[]) => takeFull(database.source, {tables});
const rowsOf = (database: Database, table: string) =>
  database.db
    .prepare(`SELECT * FROM ${table} ORDER BY 1`)
    .all()
    .map((row) => Object.values(row).join(' '));

test('replace brings a table whose columns changed with its schema, indexes, triggers and counter', async () => {
  const database = new Database(`PRAGMA journal_mode = WAL; ${orders}`);
  const backup = await untracked(database, 'orders', 'audit');
  const then = join(folder(), 'then.db');
  await restore(new Database('', {path: then}).source, backup);
  database.exec(change);
  const now = imageOf(database.path);
  const notices: string[] = [];
  const told: string[] = [];
  const counted = await merge(database.source, backup, 'replace', {dryRun: true, notice: (text) => told.push(text)});
  expect(imageOf(database.path)).toEqual(now);
  const merged = await merge(database.source, backup, 'replace', {notice: (text) => notices.push(text)});
  expect(merged).toEqual([
    {name: 'orders', inserted: 3, updated: 0, deleted: 3, kept: 0},
    {name: 'audit', inserted: 3, updated: 0, deleted: 4, kept: 0},
  ]);
  expect({counted, told}).toEqual({counted: merged, told: notices});
  expect(notices).toEqual([
    'orders comes with the schema that it had in the backup: column note TEXT is in the table only',
    expect.stringMatching(/^index by_note of orders is not in the backup, and is gone; .*: CREATE INDEX by_note/),
    expect.stringMatching(/^trigger newer of orders is not in the backup, and is gone; .*: CREATE TRIGGER newer/),
  ]);
  expectSame(database.path, then, ['orders', 'audit']);
  expect(database.value('PRAGMA integrity_check')).toBe('ok');
  database.exec("INSERT INTO orders (email) VALUES ('e')");
  expect(rowsOf(database, 'audit')).toEqual(['1', '2', '3', '4']);
  expect(filesIn(join(database.path, '..')).filter((file) => file.includes('stage'))).toEqual([]);
});

test('the increment after a table was replaced with its schema takes all of its rows', async () => {
  const database = new Database(
    `${orders} DROP TRIGGER note; CREATE TABLE other (id INTEGER PRIMARY KEY, v); INSERT INTO other VALUES (1, 1);`,
  );
  const base = await full(database, ['orders', 'other']);
  const old = await untracked(database, 'orders', 'other');
  for (const between of [true, false]) {
    database.exec(`ALTER TABLE orders ADD COLUMN note${between} TEXT; UPDATE orders SET total = total + 1`);
    const last = between ? await increment(database, base) : base;
    const notices: string[] = [];
    await merge(database.source, old, 'replace', {notice: (text) => notices.push(text)});
    expect(notices).toContainEqual(expect.stringContaining('the next increment takes all rows of orders'));
    expect(await database.source.brokenTracking()).toEqual([]);
    database.exec('UPDATE orders SET total = 7 WHERE id = 3; UPDATE other SET v = v + 1');
    const next = await increment(database, last);
    expect(next.layers.orders).toHaveLength(1);
    expect(next.layers.other!.length).toBeGreaterThan(1);
    await expectComesBack(database, next);
    database.exec('DELETE FROM orders WHERE id = 2');
    await expectComesBack(database, await increment(database, next));
  }
});

test('several tables are replaced and merged in one transaction, or none is', async () => {
  const database = new Database(
    `CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (id INTEGER PRIMARY KEY, v REFERENCES c);
     CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1, 1); INSERT INTO c VALUES (1);
     INSERT INTO b VALUES (1, 1)`,
  );
  const backup = await untracked(database, 'a', 'b');
  database.exec('ALTER TABLE a ADD COLUMN w; DELETE FROM b; DELETE FROM c; DELETE FROM a');
  const before = imageOf(database.path);
  for (const dryRun of [true, false]) {
    await expect(merge(database.source, backup, 'replace', {dryRun})).rejects.toMatchObject({
      details: ['of b to c: the row with id 1'],
    });
  }
  expect(imageOf(database.path)).toEqual(before);
  database.exec('INSERT INTO c VALUES (1)');
  expect(await merge(database.source, backup, 'replace')).toMatchObject([
    {name: 'a', inserted: 1, deleted: 0},
    {name: 'b', inserted: 1, deleted: 0},
  ]);
});

test('views and foreign keys that do not fit the old schema are named; a trigger refuses it', async () => {
  const database = new Database('CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)');
  const backup = await untracked(database, 't');
  database.exec(`ALTER TABLE t ADD COLUMN code TEXT; CREATE UNIQUE INDEX by_code ON t (code);
    CREATE VIEW codes AS SELECT code FROM t; CREATE VIEW fine AS SELECT v FROM t;
    CREATE TABLE child (id INTEGER PRIMARY KEY, code REFERENCES t (code));
    CREATE TABLE source (id INTEGER PRIMARY KEY);
    CREATE TRIGGER copies AFTER INSERT ON source BEGIN INSERT INTO t (code) VALUES (NEW.id); END;
    CREATE TRIGGER harmless AFTER INSERT ON source BEGIN UPDATE t SET v = 1; END`);
  const before = imageOf(database.path);
  for (const dryRun of [true, false]) {
    await expect(merge(database.source, backup, 'replace', {dryRun})).rejects.toMatchObject({
      code: 'PRECONDITION',
      details: [expect.stringContaining('trigger copies of source: ')],
      next: 'drop them first (DROP TRIGGER "copies")',
    });
  }
  expect(imageOf(database.path)).toEqual(before);
  database.exec('DROP TRIGGER copies');
  for (const dryRun of [true, false]) {
    const notices: string[] = [];
    await merge(database.source, backup, 'replace', {dryRun, notice: (text) => notices.push(text)});
    expect(notices).toContainEqual(expect.stringMatching(/^view codes does not fit the schema of the backup, .*code/));
    expect(notices).toContainEqual(
      expect.stringContaining('a foreign key of child leads to columns that are not unique'),
    );
    expect(notices.join()).not.toContain('fine');
  }
  database.exec('INSERT INTO source VALUES (5)');
});

test('a column that was added since is kept by a merge, with its default in rows that come back', async () => {
  for (const form of ['', ' WITHOUT ROWID']) {
    const database = new Database(
      `CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT UNIQUE)${form};
       INSERT INTO t VALUES ('a', 'x'), ('b', 'y'), ('c', 'z')`,
    );
    const base = await full(database, ['t']);
    database.exec(`ALTER TABLE t ADD COLUMN note TEXT DEFAULT 'new'; UPDATE t SET note = 'of ' || k;
      UPDATE t SET v = 'tmp' WHERE k = 'b'; UPDATE t SET v = 'y' WHERE k = 'a';
      UPDATE t SET k = 'B', v = 'x' WHERE k = 'b';
      DELETE FROM t WHERE k = 'c'; INSERT INTO t VALUES ('d', 'w', 'own')`);
    const notices: string[] = [];
    const counts = {name: 't', inserted: 1, updated: 2, deleted: 0, kept: 1};
    expect(await merge(database.source, base, 'merge', {dryRun: true})).toEqual([counts]);
    expect(await merge(database.source, base, 'merge', {notice: (text) => notices.push(text)})).toEqual([counts]);
    expect(rowsOf(database, 't')).toEqual(['a x of a', 'b y of b', 'c z new', 'd w own']);
    expect(notices).toEqual([
      'the backup of t does not have the column note: rows that came back have their default in it, ' +
        'rows that were changed keep their value',
    ]);
    await expectComesBack(database, await increment(database, base));
  }
});

test('a dry run reports what a UNIQUE, NOT NULL or foreign key refuses, and changes nothing', async () => {
  const schema = 'CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1); ';
  for (const [table, rows, changes, cause] of [
    [
      'u TEXT',
      "'b'",
      "CREATE UNIQUE INDEX by_u ON t (u); INSERT INTO t VALUES (7, 'b')",
      'UNIQUE constraint failed: t.u',
    ],
    ['u TEXT', "'b'", 'ALTER TABLE t ADD COLUMN w INT; ', undefined],
    [
      'u TEXT',
      "'b'",
      'DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT, w NOT NULL)',
      'NOT NULL constraint failed: t.w',
    ],
    ['u REFERENCES p', '1', 'DELETE FROM p', 'foreign'],
  ] as const) {
    const database = new Database(
      `${schema} CREATE TABLE t (id INTEGER PRIMARY KEY, ${table}); INSERT INTO t VALUES (1, ${rows})`,
    );
    const backup = await untracked(database, 't');
    database.exec(`DELETE FROM t; ${changes}`);
    const before = imageOf(database.path);
    const ends = [];
    for (const dryRun of [true, false]) {
      ends.push(
        await merge(database.source, backup, 'merge', {dryRun}).catch(({code, cause: why, details, next, message}) => ({
          ...{code, why, details, next, message},
        })),
      );
      if (dryRun) expect(imageOf(database.path)).toEqual(before);
    }
    expect(ends[0]).toEqual(ends[1]);
    if (cause === undefined) expect(ends[0]).toMatchObject([{inserted: 1}]);
    else if (cause === 'foreign') expect(ends[0]).toMatchObject({details: ['of t to p: the row with id 1']});
    else expect(ends[0]).toMatchObject({code: 'PRECONDITION', why: cause, details: ['the row with id 1']});
    if (cause?.startsWith('NOT NULL'))
      expect(ends[0]).toMatchObject({next: expect.stringMatching(/^restore it under/)});
  }
});

test('a dry run keeps no writer waiting and sees one state of the database', async () => {
  const database = new Database(`PRAGMA journal_mode = WAL; ${orders}`);
  const backup = await untracked(database, 'orders');
  database.exec('DELETE FROM orders WHERE id = 1; BEGIN IMMEDIATE; DELETE FROM orders WHERE id = 2');
  expect(await merge(database.source, backup, 'merge', {dryRun: true})).toMatchObject([{inserted: 1}]);
  database.exec('COMMIT');
  expect(await merge(database.source, backup, 'merge')).toMatchObject([{inserted: 2}]);
});

test('an index name that another table has by now is refused by plan, dry run and statement', async () => {
  const database = new Database(
    'CREATE TABLE a (x INTEGER PRIMARY KEY, y); CREATE INDEX ix ON a (y); CREATE TABLE b (y)',
  );
  const backup = await untracked(database, 'a');
  const refused = {code: 'TABLE_EXISTS', message: 'path exist: index ix of b'};
  database.exec('ALTER TABLE a ADD COLUMN z; DROP INDEX ix; CREATE INDEX ix ON b (y)');
  const before = imageOf(database.path);
  const {schemas} = backup;
  const incoming = {schemas, stored: schemas, objects: [], database: backup.database, bytes: 0};
  const {obstacle} = await database.source.survey(incoming, {rehearse: false, mode: 'replace'});
  expect(obstacle).toMatchObject(refused);
  for (const dryRun of [true, false]) {
    await expect(merge(database.source, backup, 'replace', {dryRun})).rejects.toMatchObject(refused);
  }
  expect(imageOf(database.path)).toEqual(before);
});

test('a trigger of the backup may have the name of a living table', async () => {
  const database = new Database(
    `CREATE TABLE log (x INTEGER PRIMARY KEY); INSERT INTO log VALUES (7); CREATE TABLE a (x INTEGER PRIMARY KEY);
     CREATE TRIGGER log AFTER INSERT ON a BEGIN INSERT INTO log VALUES (NEW.x); END; INSERT INTO a VALUES (1)`,
  );
  const backup = await untracked(database, 'a');
  const before = imageOf(database.path);
  database.exec('ALTER TABLE a ADD COLUMN z');
  await merge(database.source, backup, 'replace');
  expect(imageOf(database.path)).toEqual(before);
});

test('awkward tables come back with their schema, and a full-text index beside them matches', async () => {
  for (const [schema, name, changes] of [
    [
      `CREATE TABLE "we""ird 'na[me]" ("a b" INTEGER PRIMARY KEY, "c""d" TEXT UNIQUE, [e f]);
       INSERT INTO "we""ird 'na[me]" VALUES (1, 'x', 2); CREATE INDEX "i ""q" ON "we""ird 'na[me]" ("c""d" DESC);`,
      `we"ird 'na[me]`,
      `ALTER TABLE "we""ird 'na[me]" ADD COLUMN "z z"`,
    ],
    [
      `CREATE TABLE g (id INTEGER PRIMARY KEY, a, b AS (a * 2), c AS (a || 'x') STORED UNIQUE);
       INSERT INTO g (a) VALUES (1), (2); CREATE INDEX gi ON g (b) WHERE a > 0; CREATE INDEX ge ON g (a + b)`,
      'g',
      'ALTER TABLE g ADD COLUMN e AS (a + 1)',
    ],
    [
      "CREATE TABLE s (k ANY, n INT, PRIMARY KEY (k, n)) STRICT, WITHOUT ROWID; INSERT INTO s VALUES ('1', 1), (1, 1)",
      's',
      'DROP TABLE s; CREATE TABLE s (k TEXT, n INT, PRIMARY KEY (k, n))',
    ],
    [
      'CREATE TABLE n (id INTEGER PRIMARY KEY, up REFERENCES n); INSERT INTO n VALUES (1, NULL), (2, 1)',
      'n',
      'ALTER TABLE n ADD COLUMN x; DELETE FROM n WHERE id = 2',
    ],
    [
      `CREATE TABLE d (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO d VALUES (1, 'moor'), (2, 'heath');
       CREATE VIRTUAL TABLE f USING fts5(body, content='d', content_rowid='id'); INSERT INTO f (f) VALUES ('rebuild');`,
      'd',
      "ALTER TABLE d ADD COLUMN more; DELETE FROM d WHERE id = 1; INSERT INTO f (f) VALUES ('rebuild')",
    ],
  ] as const) {
    const database = new Database(schema);
    const backup = await full(database, [name]);
    const then = join(folder(), 'then.db');
    await restore(new Database('', {path: then}).source, backup);
    database.exec(changes);
    const counted = await merge(database.source, backup, 'replace', {dryRun: true});
    expect(await merge(database.source, backup, 'replace')).toEqual(counted);
    expectSame(database.path, then, [name]);
    await expectComesBack(database, await increment(database, backup));
    if (name !== 'd') continue;
    expect(database.value("SELECT rowid FROM f WHERE f MATCH 'moor'")).toBe(1);
  }
});
