import {readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import type {Staging, TableSource} from '../../../src/sources/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {expectSame, imageOf} from '../../helpers/sqlite-compare.ts';
import {type Backup, basesOf, loadStaging, type RecordsBase, takeFull} from '../layers.ts';
import {Database, filesIn, folder, full, increment} from './database.ts';
import {recordsOf, withBases} from './records.ts';

/** Which trees of a base are laid out, and what a restore does when they are not what the schema says. */

const schema = `CREATE TABLE t (k TEXT PRIMARY KEY, a INTEGER, b, c UNIQUE); CREATE INDEX i ON t (a, b DESC);
  CREATE INDEX part ON t (b) WHERE a > 10; CREATE INDEX low ON t (lower(b));
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO t SELECT 'k' || i, i % 500, 'B' || i, i FROM n`;

const [key, unique] = ['sqlite_autoindex_t_1', 'sqlite_autoindex_t_2'];

async function wanted(backup: Backup): Promise<string[]> {
  const staging = await new SqliteSource(join(folder(), 'new.db')).stage(backup.schemas, {
    id: 'x',
    database: backup.database,
    bases: basesOf(backup),
  });
  const names = staging.wanted('t').map(({name}) => name);
  await staging.discard();
  return names;
}

/** @returns the path of the restored file, and the notices */
async function restored(backup: Backup, check: 'quick' | 'full'): Promise<{path: string; notices: string[]}> {
  const notices: string[] = [];
  const path = join(folder(), 'new.db');
  const staging = await loadStaging(new SqliteSource(path), backup);
  await staging.finish({check, notice: (text) => notices.push(text)});
  await staging.publish({notice: (text) => notices.push(text)});
  return {path, notices};
}

describe('the trees that a restore lays out', () => {
  test('are all of them, without deltas', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    expect(await wanted(withBases(base, recordsOf(database, base)))).toEqual(['t', key, unique, 'i', 'part', 'low']);
  });

  test('are those that the landing can follow, if few rows changed', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const bases = recordsOf(database, base);
    database.exec('UPDATE t SET b = 1 WHERE a < 20');
    expect(await wanted(withBases(await increment(database, base), bases))).toEqual(['t', unique, 'i']);
  });

  test('are the table alone, if many rows changed', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const bases = recordsOf(database, base);
    database.exec('UPDATE t SET b = 1 WHERE a < 200');
    expect(await wanted(withBases(await increment(database, base), bases))).toEqual(['t']);
  });

  test('are not those of an index that was dropped or created again since the base', async () => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const bases = recordsOf(database, base);
    database.exec('DROP INDEX part; DROP INDEX i; CREATE INDEX i ON t (b, a); DELETE FROM t WHERE a = 7');
    const next = withBases(await increment(database, base), bases);
    expect(await wanted(next)).toEqual(['t', unique]);
    const {path, notices} = await restored(next, 'full');
    expectSame(path, database.path, ['t']);
    expect(notices).toEqual([]);
  });

  test.each<[string, (base: RecordsBase) => RecordsBase['trees']]>([
    [
      'an index of a constraint that the table does not have',
      ({trees}) => [...trees, {...trees[1]!, name: 'sqlite_autoindex_t_9'}],
    ],
    ['rowids in an index', ({trees: [own, index]}) => [own!, {...index!, kind: 'rowid'}]],
    ['a table without rowids', ({trees: [own]}) => [{...own!, kind: 'key'}]],
    ['nothing but an index', ({trees}) => [trees[1]!]],
  ])('cannot be %s', async (_, change) => {
    const database = new Database(schema);
    const base = await full(database, ['t']);
    const {t} = recordsOf(database, base);
    const backup = withBases(base, {t: {...t!, trees: change(t!)}});
    await expect(wanted(backup)).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  });
});

describe('an index that does not match its table in the backup is built from the rows', () => {
  /** @param change of one index's records */
  async function withIndex(change: (tree: RecordsBase['trees'][number]) => RecordsBase['trees'][number], sql = '') {
    const database = new Database(`${schema}; UPDATE t SET b = 'b'`);
    const base = await full(database, ['t']);
    const {t} = recordsOf(database, base);
    const trees = t!.trees.map((tree) => (tree.name === 'i' ? change(tree) : tree));
    if (sql !== '') database.exec(sql);
    const next = sql === '' ? base : await increment(database, base);
    return {database, backup: withBases(next, {t: {...t!, trees}})};
  }

  /** Without its first record. */
  const incomplete = (tree: RecordsBase['trees'][number]) => {
    const [first, ...others] = tree.segments;
    const bytes = first!.bytes.subarray(1 + first!.bytes[0]!);
    return {...tree, segments: [{bytes, rows: first!.rows - 1}, ...others]};
  };

  /** The first record is that of another row: its last byte is the rowid. */
  const mistaken = (tree: RecordsBase['trees'][number]) => {
    const [first, ...others] = tree.segments;
    const bytes = Buffer.from(first!.bytes);
    bytes[bytes[0]!]! ^= 1;
    return {...tree, segments: [{...first!, bytes}, ...others]};
  };

  test.each([
    ['an entry is missing', 'quick', incomplete, ''],
    ['an entry is missing', 'full', incomplete, ''],
    ['an entry is that of another row', 'full', mistaken, ''],
    [
      'an entry is missing, of a row that a delta changes',
      'quick',
      incomplete,
      `UPDATE t SET b = 0 WHERE a <> 0 AND a < 10`,
    ],
    ['an entry is that of another row, which a delta removes', 'quick', mistaken, 'DELETE FROM t WHERE a = 0'],
  ] as const)('%s (%s check)', async (_, check, change, sql) => {
    const {database, backup} = await withIndex(change, sql);
    const {path, notices} = await restored(backup, check);
    expectSame(path, database.path, ['t']);
    expect(notices).toEqual([expect.stringMatching(/^index i did not match the rows of t/)]);
  });
});

test.each([
  ['', schema],
  [', of a table with a generated column', schema.replace('c UNIQUE)', 'c UNIQUE, g AS (a + 1))')],
])(
  'an index that is not in the order of its statement is built from the rows where it is to be copied%s',
  async (_, sql) => {
    const database = new Database(sql);
    database.db.enableDefensive(false);
    database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (b DESC)' WHERE name = 'i'; PRAGMA writable_schema = RESET`);
    const base = await full(database, ['t']);
    const backup = withBases(base, recordsOf(database, base));
    const other = new Database('CREATE TABLE other (x)');
    const staging = await loadStaging(other.source, backup);
    await staging.finish({check: 'quick'});
    const notices: string[] = [];
    await staging.publish({notice: (text) => notices.push(text)});
    expect(notices).toEqual([expect.stringContaining('were built from the rows')]);
    database.exec('REINDEX');
    expectSame(other.path, database.path, ['t']);
  },
);

test('the deltas of rows that are older than a column keep the indexes of that column', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i, i FROM n;
    ALTER TABLE t ADD COLUMN x TEXT DEFAULT 5; ALTER TABLE t ADD COLUMN y REAL DEFAULT -5;
    ALTER TABLE t ADD COLUMN z INTEGER DEFAULT '7'; ALTER TABLE t ADD COLUMN v DEFAULT x'00ff';
    ALTER TABLE t ADD COLUMN w NOT NULL DEFAULT 'it''s'; ALTER TABLE t ADD COLUMN n;
    CREATE INDEX ix ON t (x); CREATE INDEX iy ON t (y); CREATE INDEX iz ON t (z, v); CREATE INDEX iw ON t (n, w)`);
  const base = await full(database, ['t']);
  const bases = recordsOf(database, base);
  database.exec('DELETE FROM t WHERE k < 10; UPDATE t SET x = 1 WHERE k = 20; INSERT INTO t (a) VALUES (5)');
  const backup = withBases(await increment(database, base), bases);
  expect(await wanted(backup)).toEqual(['t', 'ix', 'iy', 'iz', 'iw']);
  const {path, notices} = await restored(backup, 'full');
  expectSame(path, database.path, ['t']);
  expect(notices).toEqual([]);
});

test('a wrong entry in the index of the key makes no increment delete another row', async () => {
  const database = new Database(`CREATE TABLE t (k TEXT PRIMARY KEY, v); CREATE INDEX byKey ON t (k, v);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO t SELECT printf('key%06d', i), 'old' || i FROM n`);
  // The rowid of one entry of the key's index: 1500 becomes 1502.
  const bytes = readFileSync(database.path);
  const entry = bytes.indexOf(Buffer.from('key001500\x05\xdc', 'latin1'));
  bytes[entry + 10]! ^= 2;
  database.close();
  writeFileSync(database.path, bytes);
  const damaged = new Database('', {path: database.path});
  const base = await full(damaged, ['t']);
  damaged.exec(`REINDEX; UPDATE t SET v = 'new' WHERE k = 'key001500'`);
  const backup = await increment(damaged, base);
  for (const check of ['quick', 'full'] as const) {
    const {path} = await restored(backup, check);
    expectSame(path, damaged.path, ['t']);
  }
});

test('an index on a column whose name differs in the case of a letter outside ASCII is another index', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, Ä, ä); CREATE INDEX i ON t (Ä);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO t SELECT i, 'a' || i, 'b' || (3000 - i) FROM n`);
  const base = await full(database, ['t']);
  database.exec(`DROP INDEX i; CREATE INDEX i ON t (ä); INSERT INTO t VALUES (9999, 'x', 'y')`);
  const {path} = await restored(await increment(database, base), 'quick');
  expectSame(path, database.path, ['t']);
});

test('generated columns come back, and the indexes on them', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, s AS (a + 1) STORED, a, v AS (a || 'x'));
    CREATE INDEX i_s ON t (s); CREATE INDEX i_v ON t (v); CREATE INDEX i_a ON t (a, s);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t (a) SELECT i FROM n`);
  const base = await full(database, ['t']);
  const bases = recordsOf(database, base);
  database.exec('DELETE FROM t WHERE k < 10; INSERT INTO t (a) VALUES (5)');
  const backup = withBases(await increment(database, base), bases);
  expect(await wanted(backup)).toEqual(['t', 'i_s', 'i_a']);
  const {path, notices} = await restored(backup, 'full');
  expectSame(path, database.path, ['t']);
  expect(notices).toEqual([]);
  const other = new Database('CREATE TABLE other (x)');
  const staging = await loadStaging(other.source, backup);
  await staging.finish({check: 'quick'});
  await staging.publish({});
  expectSame(other.path, database.path, ['t']);
});

test('tables with generated columns are copied into a database with their indexes', async () => {
  const tables: Record<string, string> = {
    't, PRIMARY KEY': `(b, g AS (a + b), a NOT NULL, PRIMARY KEY (a, b)); CREATE INDEX i ON t (b COLLATE NOCASE, g);
      CREATE INDEX j ON t (b DESC); CREATE INDEX k ON t (a) WHERE b > 5; CREATE UNIQUE INDEX u ON t (b, a)`,
    'a key with ON CONFLICT': `(k INTEGER PRIMARY KEY ON /**/ CONFLICT REPLACE, a, b, g AS (a + b) STORED, v AS (a))`,
    'a key that ignores conflicts': '(k INTEGER, a, b, g AS (a + b), PRIMARY KEY (k) ON CONFLICT IGNORE)',
    'WITHOUT ROWID': `(a, b, g AS (a + b) STORED, PRIMARY KEY (b, a)) WITHOUT ROWID; CREATE INDEX i ON t (g)`,
    'a rowid as key':
      '(k INTEGER PRIMARY KEY, a UNIQUE, g AS (a * 2) UNIQUE, b); CREATE INDEX i ON t (g); CREATE INDEX j ON t (b)',
    'no key': '(g AS (a || b), a, b); CREATE INDEX i ON t (a, b)',
    'no key, no index of plain columns': '(a, g AS (a || b), b); CREATE INDEX i ON t (g)',
    'no key, no index': '(a, g AS (a || b), b)',
  };
  for (const [name, definition] of Object.entries(tables)) {
    const database = new Database(`CREATE TABLE t ${definition};
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO t (a, b) SELECT i, i % 7 || 'x' FROM n;
      ALTER TABLE t ADD COLUMN later INTEGER DEFAULT 7; DELETE FROM t WHERE a < 20;
      INSERT INTO t (a, b) VALUES (9999, x'00')`);
    const base = await takeFull(database.source, {tables: ['t']});
    const other = new Database('PRAGMA page_size = 1024; CREATE TABLE other (x)');
    const staging = await loadStaging(other.source, withBases(base, recordsOf(database, base)));
    await staging.finish({check: 'quick'});
    await staging.publish({});
    expectSame(other.path, database.path, ['t']);
    expect([name, other.value('PRAGMA integrity_check')]).toEqual([name, 'ok']);
    if (name.startsWith('no key'))
      expect(other.value('SELECT max(rowid) FROM t')).toBe(database.value('SELECT max(rowid) FROM t'));
  }
});

test('a table without a key keeps its rowids, in a new file and in a database', async () => {
  const database = new Database(`CREATE TABLE t (a, b); CREATE INDEX i ON t (b);
    INSERT INTO t (rowid, a, b) VALUES (-7, 1, 2), (9223372036854775807, 3, x'00'), (5, NULL, 'x')`);
  const base = await takeFull(database.source, {tables: ['t']});
  const backup = withBases(base, recordsOf(database, base));
  const other = new Database('PRAGMA page_size = 512; CREATE TABLE other (x)');
  for (const path of [join(folder(), 'new.db'), other.path]) {
    const staging = await loadStaging(new SqliteSource(path), backup);
    await staging.finish({check: 'full'});
    await staging.publish({});
    expectSame(path, database.path, ['t']);
  }
});

test('rows and records can be in one backup', async () => {
  const database = new Database(
    `${schema}; CREATE TABLE u (k INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO u VALUES (1, 2)`,
  );
  const base = await takeFull(database.source, {tables: ['t', 'u'], form: 'rows'});
  const {t} = recordsOf(database, base);
  const {path} = await restored(withBases(base, {t: t!}), 'full');
  expectSame(path, database.path, ['t', 'u']);
});

test('the indexes of the base stay away if the backup leaves indexes out', async () => {
  const database = new Database(schema);
  const base = await takeFull(database.source, {tables: ['t'], omitIndexes: true});
  const backup = withBases(base, recordsOf(database, base));
  expect(await wanted(backup)).toEqual(['t', key, unique]);
  const {path} = await restored(backup, 'full');
  expect(imageOf(path).schema).toEqual([expect.stringMatching(/^table t /)]);
  expect(imageOf(path).tables).toEqual(imageOf(database.path).tables);
});

test('a backup and its restore report the indexes that were left out on request', async () => {
  const statements = ['CREATE INDEX i ON t (a)', 'CREATE UNIQUE INDEX u ON t (b)'];
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a, b UNIQUE); ${statements.join(';')}`);
  const told: string[] = [];
  const snapshot = await database.source.snapshot({
    tables: ['t'],
    omitIndexes: true,
    notice: (text) => told.push(text),
  });
  await snapshot.close();
  expect(told.filter((text) => text.includes('OMIT_INDEXES'))).toEqual([
    expect.stringMatching(/duplicates.*: u of t$/),
  ]);
  const base = await takeFull(database.source, {tables: ['t'], omitIndexes: true});
  const {notices} = await restored(withBases(base, recordsOf(database, base)), 'quick');
  expect(notices).toEqual(
    statements.map((sql) => expect.stringMatching(new RegExp(`OMIT_INDEXES.*${literally(sql)}$`))),
  );
});

const literally = (sql: string) => sql.replace(/[()]/g, '\\$&');

test('duplicates in a unique index come back, and a full check reports them', async () => {
  const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, a); CREATE INDEX i ON t (a);
    INSERT INTO t VALUES (1, 1), (2, 1), (3, 2)`);
  database.db.enableDefensive(false);
  database.exec(`PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX i ON t (a)' WHERE name = 'i'; PRAGMA writable_schema = RESET`);
  const base = await full(database, ['t']);
  const backup = withBases(base, recordsOf(database, base));
  const {path, notices} = await restored(backup, 'full');
  expect(imageOf(path)).toEqual(imageOf(database.path));
  expect(notices.join()).toContain('non-unique entry in index i');
  expect((await restored(backup, 'quick')).notices).toEqual([]);
});

test('computed indexes that are those of the source are not named as built by another SQLite', async () => {
  // SQLite does not transfer the rows of the second table.
  for (const [columns, told] of [
    [`a, v AS (a || 'x')`, []],
    [`v AS (a || 'x'), a, s AS (v || a) STORED UNIQUE`, [expect.stringMatching(/, i, j; .*3\.40\.1: run REINDEX/)]],
  ] as const) {
    const database = new Database(`CREATE TABLE t (k INTEGER PRIMARY KEY, ${columns}); INSERT INTO t (a) VALUES (1);
      CREATE INDEX i ON t (lower(a)); CREATE INDEX j ON t (v)`);
    const base = await full(database, ['t']);
    const backup = withBases(base, recordsOf(database, base));
    const older = {...backup, database: {...backup.database, written_by: '3040001'}};
    expect((await restored(older, 'quick')).notices).toEqual([]);
    const other = new Database('CREATE TABLE other (x)');
    const staging = await loadStaging(other.source, older);
    await staging.finish({check: 'quick'});
    const notices: string[] = [];
    await staging.publish({notice: (text) => notices.push(text)});
    expect(notices).toEqual(told);
    expectSame(other.path, database.path, ['t']);
  }
});

test('a restored file has the page size, encoding and auto_vacuum of the backup', async () => {
  for (const vacuum of [0, 1, 2]) {
    const database = new Database(`PRAGMA page_size = 2048; PRAGMA encoding = 'UTF-16le';
      PRAGMA auto_vacuum = ${vacuum}; ${schema}`);
    const base = await full(database, ['t']);
    const {path} = await restored(withBases(base, recordsOf(database, base)), 'full');
    const copy = new Database('', {path});
    for (const [pragma, value] of [
      ['page_size', 2048],
      ['encoding', 'UTF-16le'],
      ['auto_vacuum', vacuum],
    ] as const)
      expect(copy.value(`PRAGMA ${pragma}`)).toBe(value);
  }
});

describe('nothing is left behind', () => {
  /** Files next to the target, and descriptors of the staging file. */
  const left = (path: string) => [
    ...filesIn(join(path, '..')),
    ...readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        return target.includes('bkp-stage') && target.startsWith(join(path, '..')) ? [target] : [];
      } catch {
        return [];
      }
    }),
  ];

  async function begun(): Promise<{path: string; staging: Staging; base: RecordsBase}> {
    const database = new Database(schema);
    const backup = await full(database, ['t']);
    const {t} = recordsOf(database, backup);
    const path = join(folder(), 'new.db');
    const source: TableSource = new SqliteSource(path);
    const bases = basesOf(withBases(backup, {t: t!}));
    return {path, base: t!, staging: await source.stage(backup.schemas, {id: 'x', database: backup.database, bases})};
  }

  const rowsOf = ({segments}: RecordsBase['trees'][number]) => segments.reduce((sum, {rows}) => sum + rows, 0);

  async function* stream({segments}: RecordsBase['trees'][number], {fails = false, garbage = false} = {}) {
    for (const {bytes} of segments) yield garbage ? Buffer.alloc(bytes.length, 0xee) : bytes;
    if (fails) throw new Error('cancelled');
  }

  const load = (staging: Staging, tree: RecordsBase['trees'][number], options = {}) =>
    staging.loadTree('t', {...tree, records: rowsOf(tree)}, stream(tree, options));

  test('when the chunks of a tree end with an error', async () => {
    const {path, staging, base} = await begun();
    const [own, index] = base.trees;
    await load(staging, own!);
    await expect(load(staging, index!, {fails: true})).rejects.toThrow('cancelled');
    await staging.discard();
    expect(left(path)).toEqual([]);
  });

  test('when the chunks are not records, which is damage of the backup', async () => {
    const {path, staging, base} = await begun();
    const loading = async () => {
      for (const tree of base.trees) await load(staging, tree, {garbage: tree.name === 'i'});
      await staging.finish({check: 'quick'});
    };
    await expect(loading()).rejects.toMatchObject({
      code: 'OBJECT_DAMAGED',
      message: expect.stringContaining('records'),
    });
    await staging.discard();
    expect(left(path)).toEqual([]);
  });

  test('when there are fewer records than the manifest says', async () => {
    const {path, staging, base} = await begun();
    const loading = async () => {
      for (const tree of base.trees)
        await staging.loadTree('t', {...tree, records: rowsOf(tree) + (tree.name === 'part' ? 1 : 0)}, stream(tree));
      await staging.finish({check: 'quick'});
    };
    await expect(loading()).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
    await staging.discard();
    expect(left(path)).toEqual([]);
  });

  test('when it is discarded or cancelled after the trees', async () => {
    for (const cancel of [false, true]) {
      const {path, staging, base} = await begun();
      for (const tree of base.trees) await load(staging, tree);
      const signal = AbortSignal.abort(new Error('cancelled'));
      if (cancel) await expect(staging.finish({check: 'quick', signal})).rejects.toThrow('cancelled');
      await staging.discard();
      expect(left(path)).toEqual([]);
    }
  });

  test('when the target appeared meanwhile', async () => {
    const {path, staging, base} = await begun();
    for (const tree of base.trees) await load(staging, tree);
    await staging.finish({check: 'quick'});
    new Database('CREATE TABLE t (mine)', {path});
    await expect(staging.publish({})).rejects.toMatchObject({code: 'TABLE_EXISTS'});
    await staging.discard();
    expect(left(path)).toEqual(['new.db']);
  });
});
