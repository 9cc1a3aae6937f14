import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {fillStaging, merge, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, databaseOfTest, filledAndEmpty} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';

// A function was replaced since the rows were written, and refuses them now; generated columns of keys.

const clusters = {15: clusterOfFile(15), 16: clusterOfFile(16), 18: clusterOfFile(18)};

async function restored(version: keyof typeof clusters, sql: string, tables: readonly string[]) {
  const {database, target} = await filledAndEmpty(clusters[version](), sql);
  const missing: {name: string; why: string}[] = [];
  const staging = await fillStaging(target.source, await takeFull(database.source, {tables}));
  await staging.publish({missing: (part) => missing.push(part)});
  await staging.discard();
  return {database, target, missing};
}

const f = (body: string) =>
  `CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN ${body} END';`;
const refusing = f("IF $1 > 1 THEN RAISE ''not %'', $1; END IF; RETURN $1;");

/** Mends the function, and runs the statement that `why` proposes. */
async function mend(target: {exec(sql: string): Promise<void>}, {why}: {why: string}) {
  await target.exec(f('RETURN $1;'));
  await target.exec(/brings it as it was; (UPDATE .*;) computes its values here$/u.exec(why)![1]!);
}

test.each([
  [15, 'raises an error', refusing],
  [16, 'computes other values', f('RETURN $1 * 10;')],
  [18, 'raises an error', refusing],
  [18, 'computes NULL', f('RETURN NULL;')],
  [18, 'computes one value', f('RETURN 1;')],
] as const)('generated columns have their values if their function was replaced (%i, %s)', async (version, _, now) => {
  const {database, target, missing} = await restored(
    version,
    `${f('RETURN $1;')} CREATE FUNCTION h(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
     CREATE TABLE t (id int PRIMARY KEY, "G" int NOT NULL UNIQUE GENERATED ALWAYS AS (f(id)) STORED,
       h int GENERATED ALWAYS AS (h(id)) STORED, v text); CREATE INDEX i ON t ("G");
     CREATE TABLE p (id int, g int GENERATED ALWAYS AS (f(id)) STORED) PARTITION BY RANGE (id);
     CREATE TABLE p1 PARTITION OF p DEFAULT; CREATE TABLE u (id int PRIMARY KEY REFERENCES t ("G"));
     INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'); INSERT INTO p VALUES (1), (2); INSERT INTO u VALUES (2);
     ${now}`,
    ['public.p', 'public.t', 'public.u'],
  );
  for (const rows of ['t', 'p', 'u']) expect(await target.rows(rows)).toEqual(await database.rows(rows));
  expect(missing.map(({name}) => name).toSorted()).toEqual([
    'the expression of the generated column G of public.t',
    'the expression of the generated column g of public.p',
  ]);
  await expect(target.exec('INSERT INTO u VALUES (7)')).rejects.toThrow('u_id_fkey');
  await target.exec('INSERT INTO t (id, "G") VALUES (3, 9)');
  expect(await target.rows('(SELECT h FROM t)')).toContain('(4)');
  for (const part of missing) await mend(target, part);
  expect(await target.rows('(SELECT "G" FROM t)')).toEqual(['(1)', '(2)', '(3)']);
});

test('a generated column whose values come back as they were stays generated', async () => {
  const {database, target, missing} = await restored(
    18,
    // Declared immutable, and not: a restore has another time zone.
    `CREATE FUNCTION day(timestamptz) RETURNS date IMMUTABLE LANGUAGE sql AS 'SELECT $1::date';
     SET timezone = 'Pacific/Auckland'; ${f('RETURN $1;')}
     CREATE TABLE t (id int PRIMARY KEY, at timestamptz, day date GENERATED ALWAYS AS (day(at)) STORED,
       g int GENERATED ALWAYS AS (f(id)) STORED);
     INSERT INTO t (id, at) SELECT n, '2026-01-01 00:30+13' FROM generate_series(1, 3) n; ${f('RETURN $1 + 0;')}`,
    ['public.t'],
  );
  expect(await target.rows('(SELECT id, day, g FROM t)')).toEqual(await database.rows('(SELECT id, day, g FROM t)'));
  expect(missing).toEqual([
    {
      name: 'the expression of the generated column day of public.t',
      why: expect.stringMatching(/^day is computed otherwise than it was; it is a plain column now/u),
    },
  ]);
  await expect(target.exec('INSERT INTO t (id, g) VALUES (4, 4)')).rejects.toThrow('non-DEFAULT value');
});

test('a restore into a database with the mended function brings the column as it was', async () => {
  const {database, target} = await filledAndEmpty(
    clusters[18](),
    `${f('RETURN $1;')} CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED);
     INSERT INTO t VALUES (1), (2); ${refusing}`,
  );
  await target.exec(f('RETURN $1;'));
  await restore(target.source, await takeFull(database.source, {tables: ['public.t']}));
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  await target.exec('INSERT INTO t VALUES (3)');
  expect(await target.rows('t')).toContain('(3,3)');
});

test.each([15, 18] as const)(
  'rows of a child come back that refuse what those of its parent do not (%i)',
  async (version) => {
    const {database, target, missing} = await restored(
      version,
      `${f('RETURN $1;')} CREATE TABLE a (id int, g int GENERATED ALWAYS AS (f(id)) STORED);
     CREATE TABLE other (n int, g int GENERATED ALWAYS AS (f(n)) STORED);
     CREATE TABLE b () INHERITS (a); CREATE TABLE c () INHERITS (b);
     INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (2); INSERT INTO c VALUES (1), (3); ${refusing}`,
      ['public.a', 'public.b', 'public.c', 'public.other'],
    );
    for (const rows of ['ONLY a', 'ONLY b', 'ONLY c']) {
      expect(await target.rows(`(SELECT * FROM ${rows})`)).toEqual(await database.rows(`(SELECT * FROM ${rows})`));
    }
    expect(missing.map(({name}) => name)).toEqual([
      'the expression of the generated column g of public.a, and of tables that inherit from it',
    ]);
  },
);

test.each([15, 18] as const)('rows come back that belong to no partition any more (%i)', async (version) => {
  const {database, target, missing} = await restored(
    version,
    `${f('RETURN $1;')} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY, v int) PARTITION BY LIST (f(v));
     CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
     INSERT INTO p (v) VALUES (1), (2); ${f('RETURN $1 + 1;')}`,
    ['public.p'],
  );
  expect(await target.rows('p')).toEqual(await database.rows('p'));
  expect(missing.map(({name}) => name)).toEqual(['the partition of 1 row of public.p']);
  await target.exec(f('RETURN $1;'));
  await target.exec(/mended, (WITH .*;) moves them$/u.exec(missing[0]!.why)![1]!);
  expect(await target.rows('p')).toEqual(await database.rows('p'));
  expect(await target.rows('(SELECT v FROM p2)')).toContain('(2)');
});

test.each([
  [15, '', 'LIST (f(v))', 'FOR VALUES IN (1), FOR VALUES IN (2)', refusing],
  [18, ', g int GENERATED ALWAYS AS (f(v)) STORED', 'LIST (f(v))', 'FOR VALUES IN (1), DEFAULT', refusing],
  [18, '', 'HASH (f(v))', 'FOR VALUES WITH (MODULUS 2, REMAINDER 0)', f('RETURN $1 + 1;')],
  [
    15,
    ', g int GENERATED ALWAYS AS (f(v)) STORED',
    'HASH (f(v))',
    'FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
    f('RETURN $1 + 1;'),
  ],
] as const)('rows come back that no partition takes (%i%s, %s)', async (version, more, by, bounds, now) => {
  const {database, target, missing} = await restored(
    version,
    `DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT ALL ON SCHEMA public TO app;
     ${f('RETURN $1;')} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY, v int${more}) PARTITION BY ${by};
     ${bounds
       .split(/, (?=FOR|DEF)/u)
       .map((bound, at) => `CREATE TABLE p${at} PARTITION OF p ${bound};`)
       .join('\n')}
     ALTER TABLE p OWNER TO app;
     DO $$ BEGIN
       FOR n IN 1..20 LOOP
         BEGIN INSERT INTO p (v) VALUES (n); EXCEPTION WHEN check_violation THEN NULL; END;
       END LOOP;
     END $$; ${now}`,
    ['public.p'],
  );
  const [rest] = await target.rows(
    "(SELECT oid::regclass FROM pg_class WHERE relname ~ '^bkp_rest_' AND relowner::regrole::text = 'app')",
  );
  const both = `(SELECT * FROM p UNION ALL SELECT * FROM ${rest!.slice(1, -1)})`;
  expect(await target.rows(both)).toEqual(await database.rows('p'));
  const [part] = missing.filter(({name}) => name.startsWith('the partition of '));
  await target.exec(f('RETURN $1;'));
  await target.exec(/mended, (WITH .*;) moves them$/u.exec(part!.why)![1]!);
  expect(await target.rows('(SELECT id, v FROM p)')).toEqual(await database.rows('(SELECT id, v FROM p)'));
});

test('rows that a domain and a generated column refuse come back', async () => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
     CREATE DOMAIN d AS int CONSTRAINT k CHECK (ok(value));
     CREATE TABLE t (id int PRIMARY KEY, v d[], g int GENERATED ALWAYS AS (f(id)) STORED,
       h int GENERATED ALWAYS AS (f(id + 1)) STORED);
     INSERT INTO t VALUES (1, '{1}'), (2, '{2}');
     CREATE OR REPLACE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 2';
     ${refusing}`,
    ['public.t'],
  );
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(missing.map(({name}) => name.replace(/ of public.*/u, ''))).toEqual([
    'the expression of the generated column g',
    'the expression of the generated column h',
  ]);
  await expect(target.exec("INSERT INTO t VALUES (3, '{3}')")).rejects.toThrow('k');
});

test.each([15, 18] as const)('a table comes back whose primary key has a generated column (%i)', async (version) => {
  const {database, target, missing} = await restored(
    version,
    `CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED, v text, PRIMARY KEY (g, id));
     INSERT INTO t VALUES (1, DEFAULT, 'a'), (2, DEFAULT, 'b')`,
    ['public.t'],
  );
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(missing).toEqual([]);
  await target.exec('INSERT INTO t (id) VALUES (7)');
  expect(await target.rows('(SELECT g FROM t)')).toContain('(8)');
});

test.each([
  ['raises', refusing],
  ['gives one value', f('RETURN 1;')],
])('a generated column of a primary key has its values if its function %s', async (_what, replaced) => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE TABLE t (id int, g int GENERATED ALWAYS AS (f(id)) STORED PRIMARY KEY);
     INSERT INTO t VALUES (1), (2); ${replaced}`,
    ['public.t'],
  );
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(missing.map(({name}) => name)).toEqual(['the expression of the generated column g of public.t']);
});

test('rows come back whose generated column meets a domain within, an operator, or is inherited', async () => {
  const {database, target, missing} = await restored(
    18,
    `${f('RETURN $1;')} CREATE OPERATOR @@@ (RIGHTARG = int, FUNCTION = f);
     CREATE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
     CREATE DOMAIN d AS int CHECK (ok(value));
     CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS ((id::d)::int + 1) STORED);
     INSERT INTO t VALUES (1), (5);
     CREATE TABLE a (id int, g int GENERATED ALWAYS AS (@@@ id) STORED); CREATE TABLE b () INHERITS (a);
     INSERT INTO a VALUES (2); INSERT INTO b VALUES (1), (2); ${refusing}
     CREATE OR REPLACE FUNCTION ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 3'`,
    ['public.a', 'public.b', 'public.t'],
  );
  for (const rows of ['t', '(SELECT * FROM ONLY a)', 'b']) {
    expect(await target.rows(rows)).toEqual(await database.rows(rows));
  }
  expect(missing.map(({name}) => name)).toEqual([
    'the expression of the generated column g of public.a, and of tables that inherit from it',
  ]);
});

test.each([15, 18] as const)('increments of a table with a generated primary key come back (%i)', async (version) => {
  const {database, target} = await filledAndEmpty(
    clusters[version](),
    `CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED PRIMARY KEY, v text);
     INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
  );
  const owner = 'c';
  const full = await takeFull(database.source, {tables: ['public.t'], track: {owner}});
  await database.exec(`DELETE FROM t WHERE id = 1; UPDATE t SET v = 'new' WHERE id = 2;
    UPDATE t SET id = 9 WHERE id = 3; INSERT INTO t (id, v) VALUES (4, 'd')`);
  await restore(target.source, await takeIncrement(database.source, owner, full));
  expect(await target.rows('t')).toEqual(await database.rows('t'));
});

test.each([15, 18] as const)('partitions of partitions come back with what they computed (%i)', async (version) => {
  const {database, target, missing} = await restored(
    version,
    `${f('RETURN $1;')} CREATE TABLE p (id int, v int, g int GENERATED ALWAYS AS (f(v)) STORED, PRIMARY KEY (id))
       PARTITION BY RANGE (id);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id);
     CREATE TABLE p11 PARTITION OF p1 FOR VALUES IN (1); CREATE TABLE p12 PARTITION OF p1 DEFAULT;
     CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (MAXVALUE);
     CREATE TABLE u (id int REFERENCES p); INSERT INTO p SELECT n, n FROM generate_series(1, 12) n;
     INSERT INTO u VALUES (11); ${f('RETURN $1 * 10;')}`,
    ['public.p', 'public.u'],
  );
  for (const rows of ['p', 'p11', 'p12', 'p2', 'u']) expect(await target.rows(rows)).toEqual(await database.rows(rows));
  expect(missing.map(({name}) => name)).toEqual(['the expression of the generated column g of public.p']);
  await expect(target.exec('INSERT INTO p VALUES (1)')).rejects.toThrow('duplicate key');
  await expect(target.exec('INSERT INTO u VALUES (77)')).rejects.toThrow('u_id_fkey');
});

test.each([15, 18] as const)('MODE brings rows with generated columns back (%i)', async (version) => {
  const database = await databaseOfTest(
    clusters[version](),
    `${f('RETURN $1;')} CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED PRIMARY KEY, v text);
     CREATE TABLE u (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED, v text);
     CREATE TABLE p (id int, g int GENERATED ALWAYS AS (f(id)) STORED) PARTITION BY LIST (id);
     CREATE TABLE p1 PARTITION OF p DEFAULT;
     CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED);
     CREATE TABLE b (PRIMARY KEY (id)) INHERITS (a);
     INSERT INTO t VALUES (1), (2), (3); INSERT INTO u VALUES (1), (2), (3); INSERT INTO p VALUES (1);
     INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (2)`,
  );
  const tables = ['public.a', 'public.b', 'public.p', 'public.t', 'public.u'];
  const backup = await takeFull(database.source, {tables});
  const rows = async () =>
    Promise.all(['t', 'u', 'p', 'ONLY a', 'b'].map((name) => database.rows(`(SELECT * FROM ${name})`)));
  const before = await rows();
  await database.exec(`DELETE FROM t WHERE id = 1; UPDATE t SET v = 'x' WHERE id = 2; UPDATE t SET id = 7 WHERE id = 3;
    DELETE FROM u WHERE id = 1; UPDATE u SET v = 'x' WHERE id = 2; INSERT INTO u VALUES (4);
    DELETE FROM p; DELETE FROM a`);
  expect(await merge(database.source, backup, 'replace')).toEqual(
    expect.arrayContaining([
      {name: 'public.t', inserted: 2, updated: 1, deleted: 1, kept: 0},
      {name: 'public.u', inserted: 1, updated: 1, deleted: 1, kept: 0},
    ]),
  );
  expect(await rows()).toEqual(before);
  await database.exec(`${refusing} DELETE FROM t WHERE id = 1; UPDATE t SET id = 9 WHERE id = 2`);
  const notices: string[] = [];
  await merge(
    database.source,
    {
      ...backup,
      schemas: backup.schemas.filter(({name}) => name === 'public.t'),
      layers: {'public.t': backup.layers['public.t']!},
    },
    'merge',
    {notice: (text) => notices.push(text)},
  );
  expect(await database.rows('(SELECT * FROM t WHERE id < 9)')).toEqual(before[0]);
  await database.exec(`${f('RETURN $1 * 10;')} DELETE FROM u WHERE id = 3`);
  const ofU = {
    ...backup,
    schemas: backup.schemas.filter(({name}) => name === 'public.u'),
    layers: {'public.u': backup.layers['public.u']!},
  };
  await merge(database.source, ofU, 'replace', {notice: (text) => notices.push(text)});
  expect(await database.rows('(SELECT id, v FROM u)')).toEqual(['(1,)', '(2,)', '(3,)']);
  expect(notices).toContain('1 row of public.u have other values than in the backup: the table computes g');
});

test('MODE refuses a table that computes other keys than those of the backup', async () => {
  const database = await databaseOfTest(
    clusters[18](),
    `${f('RETURN $1;')} CREATE TABLE t (id int, g int GENERATED ALWAYS AS (f(id)) STORED PRIMARY KEY);
     INSERT INTO t VALUES (1), (2)`,
  );
  const backup = await takeFull(database.source, {tables: ['public.t']});
  await database.exec(`DELETE FROM t WHERE id = 2; ${f('RETURN $1 * 10;')}`);
  await expect(merge(database.source, backup, 'replace')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'public.t computes other keys than the backup has of 1 row; nothing was changed',
  });
  expect(await database.rows('t')).toEqual(['(1,1)']);
});

test.each(['triggers', 'scan'] as const)('increments have what functions computed, tracking=%s', async (tracking) => {
  const {database, target} = await filledAndEmpty(
    clusters[18](),
    `${f('RETURN $1;')} CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED, v text);
     INSERT INTO t SELECT n FROM generate_series(1, 4) n`,
  );
  const source = database.with({tracking});
  const full = await takeFull(source, {tables: ['public.t'], track: {owner: 'c'}});
  await database.exec(`${f('RETURN $1 * 10;')} UPDATE t SET v = 'x', id = 2 WHERE id = 2; INSERT INTO t VALUES (5);
    DELETE FROM t WHERE id = 1`);
  const backup = await takeIncrement(source, 'c', full);
  await restore(target.source, backup);
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  expect(await database.rows('t')).toEqual(['(2,20,x)', '(3,3,)', '(4,4,)', '(5,50,)']);
  await source.close();
});

test('rows of a backup without the values of such a column come back, and the next increment takes all', async () => {
  const {database, target} = await filledAndEmpty(
    clusters[18](),
    `${f('RETURN $1;')} CREATE TABLE t (id int PRIMARY KEY, g int NOT NULL GENERATED ALWAYS AS (f(id)) STORED,
       UNIQUE NULLS NOT DISTINCT (g));
     INSERT INTO t VALUES (1), (2), (3); ${refusing}`,
  );
  const backup = await takeFull(database.source, {tables: ['public.t']});
  const rows = Buffer.from('1\n2\n3\n');
  const [schema] = backup.schemas;
  const {columns} = schema!.definition as {columns: readonly string[]};
  const missing: string[] = [];
  const staging = await fillStaging(target.source, {
    ...backup,
    schemas: [{...schema!, definition: {...schema!.definition, columns: columns.slice(0, 1)}}],
    layers: {'public.t': [{kind: 'base', segments: [{bytes: rows, rows: 3}], cuts: undefined as never}]},
    contents: new Map(),
  });
  await staging.publish({missing: ({name}) => missing.push(name)});
  await staging.discard();
  expect(await target.rows('t')).toEqual(['(1,)', '(2,)', '(3,)']);
  await target.exec('INSERT INTO t VALUES (4)');
  expect(missing).toEqual(['the values of the generated column g of public.t', 'the constraint t_g_key of public.t']);
});

test('restores end with status 3 and say why, and scripts of such tables can be loaded', async () => {
  const {database, target} = await filledAndEmpty(
    clusters[18](),
    `${f('RETURN $1;')} CREATE TABLE t (id int, g int GENERATED ALWAYS AS (f(id)) STORED, v text, PRIMARY KEY (g));
     INSERT INTO t VALUES (1), (2)`,
  );
  const cluster = clusters[18]();
  const {desk, done} = openPostgresDesk(cluster, database.name);
  const into = ({name}: {name: string}, statement: string) =>
    desk.bkp('--source', addressOf(cluster, name), 'sql', '--wait', statement);
  await done('sql', "CREATE BACKUP COLLECTION c (TABLE t) WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec(`INSERT INTO t VALUES (3); UPDATE t SET v = 'x' WHERE id = 1; ${refusing}`);
  expect(await done('sql', '--wait', 'BACKUP c INCREMENTAL')).toContain('comes back with those of the backup');
  const {status, stdout, stderr} = await into(target, 'RESTORE c');
  expect(status).toBe(3);
  expect(`${stdout}${stderr}`).toContain('the expression of the generated column g of public.t');
  expect(`${stdout}${stderr}`).toContain('PARTIAL');
  expect(await target.rows('t')).toEqual(await database.rows('t'));
  const again = await cluster.create();
  onTestFinished(() => again.close());
  await again.exec(f('RETURN $1 + 10;'));
  const script = join(cluster.folder, `${database.name}.sql`);
  await done('export', 'c', script);
  const psql = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...cluster.where, '-d', again.name, '-f', script];
  // The function is there, and its statement in the script is not needed.
  writeFileSync(script, readFileSync(script, 'utf8').replace(/CREATE FUNCTION public\.f.*?;\n\n/su, ''));
  const {stderr: said, status: loaded} = spawnSync(join(cluster.bin, 'psql'), psql, {encoding: 'utf8'});
  expect(said).toContain('public.t computes other values than it had in the backup');
  expect(loaded).toBe(0);
  expect(await again.rows('(SELECT id, g, v FROM t)')).toEqual(['(1,11,x)', '(2,12,)', '(3,13,)']);
});
