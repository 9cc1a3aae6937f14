import {expect, onTestFinished, test} from 'vitest';
import {clusterOfFile} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {statementsOf} from './dumped.ts';
import {restoreSchema, takeSchema} from './empty-backup.ts';

// A backup has all that its restore needs.

const versions = {15: clusterOfFile(15), 18: clusterOfFile(18)};

/** A new database, and a desk for it. */
async function filled(version: keyof typeof versions, sql: string) {
  const cluster = versions[version]();
  const database = await cluster.create();
  const target = await cluster.create();
  onTestFinished(async () => {
    await database.close();
    await target.close();
  });
  await database.exec(sql);
  const {done, desk} = openPostgresDesk(cluster, database.name);
  return {cluster, database, target, done, desk, there: ['--source', addressOf(cluster, target.name)] as const};
}

const moved = `CREATE SCHEMA parts; COMMENT ON SCHEMA parts IS 'of the partitions';
  GRANT USAGE ON SCHEMA parts TO public;
  CREATE SCHEMA deep; CREATE SCHEMA st;
  CREATE TABLE ev (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
  CREATE TABLE parts.ev1 PARTITION OF ev FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts.ev2 PARTITION OF ev FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
  CREATE TABLE deep.ev21 PARTITION OF parts.ev2 DEFAULT;
  CREATE STATISTICS st.sx (ndistinct) ON id, v FROM ev;
  INSERT INTO ev VALUES (1, 'a'), (11, 'b')`;

test.each([
  [15, 'DATABASE'],
  [18, 'DATABASE'],
  [18, '(TABLE ev)'],
] as const)('partitions and statistics in schemas of their own: %i, %s', async (version, what) => {
  const {cluster, database, target, done, there} = await filled(version, moved);
  await done('sql', `CREATE BACKUP COLLECTION c ${what} WITH (STORAGE='cluster')`);
  await done('sql', '--wait', 'BACKUP c');
  expect(await done(...there, 'sql', '--wait', 'RESTORE c')).not.toContain('left out');
  expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
  expect(await target.rows('ev')).toEqual(await database.rows('ev'));
});

const addr = 'CREATE TABLE addr (street text); CREATE TABLE cust (id int PRIMARY KEY, a addr)';

test('a backup is refused if a table that is not in it is needed, and the step that is named helps', async () => {
  const {database, target, desk, done, there} = await filled(18, `${addr}; INSERT INTO cust VALUES (1, ROW ('x'))`);
  await done('sql', "CREATE BACKUP COLLECTION c (TABLE cust) WITH (STORAGE='cluster')");
  const {status, stderr} = await desk.bkp('sql', '--wait', 'BACKUP c');
  expect(status, stderr).not.toBe(0);
  expect(stderr).toContain('public.cust needs the table public.addr, which is not in the backup');
  const step = /ALTER BACKUP COLLECTION … (ADD TABLE \S+)$/mu.exec(stderr)?.[1];
  await done('sql', `ALTER BACKUP COLLECTION c ${step}`);
  await done('sql', '--wait', 'BACKUP c');
  await done(...there, 'sql', '--wait', 'RESTORE c');
  expect(await target.rows('cust')).toEqual(await database.rows('cust'));
});

const all = {objects: true};
const named = {objects: false};

test.each([
  ['an array of the rows of a table', named, 'CREATE TABLE x (); CREATE TABLE t (a x[])', 'table public.x'],
  [
    'a type that has such a column',
    named,
    `CREATE TABLE x (); CREATE TYPE c AS (a x); CREATE TABLE t (a c)`,
    'table public.x',
  ],
  ['a domain over it', named, 'CREATE TABLE x (); CREATE DOMAIN d AS x; CREATE TABLE t (a d)', 'table public.x'],
  ['its parent', named, 'CREATE TABLE x (i int); CREATE TABLE t () INHERITS (x)', 'table public.x'],
  [
    'the sequence of a column',
    named,
    `CREATE TABLE x (i serial); CREATE TABLE t (i int DEFAULT nextval('x_i_seq'))`,
    'table public.x',
  ],
  [
    'a partition',
    named,
    `CREATE TABLE x (i int) PARTITION BY LIST (i); CREATE TABLE x1 PARTITION OF x DEFAULT; CREATE TABLE t (a x1)`,
    'table public.x',
  ],
  ['rows of a view', named, 'CREATE VIEW x AS SELECT 1 AS i; CREATE TABLE t (a x)', 'view public.x'],
  [
    'rows of a view that is created later',
    all,
    'CREATE VIEW x AS SELECT 1 AS i; CREATE TABLE t (a x)',
    'view public.x',
  ],
  [
    'a function of it',
    named,
    `CREATE TABLE x (); CREATE FUNCTION f(x) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE t (i int CHECK (f(NULL::x) = 1))`,
    'table public.x',
  ],
  [
    'rows of a foreign table',
    all,
    `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
    CREATE FOREIGN TABLE x (i int) SERVER s; CREATE TABLE t (a x)`,
    'foreign table public.x',
  ],
])('no backup of a table that needs %s', async (_, {objects}, sql, needed) => {
  const {database} = await filled(18, sql);
  const tables = objects ? (await database.source.describe('all')).map(({name}) => name) : ['public.t'];
  const refused = await takeSchema(database.source, {tables, objects}).catch((error: unknown) => error);
  expect(refused).toMatchObject({code: 'UNSUPPORTED', message: expect.stringContaining(` needs the ${needed}, which`)});
});

test.each([
  [
    'a rule',
    'CREATE TABLE x (); CREATE RULE r AS ON DELETE TO t DO ALSO INSERT INTO x DEFAULT VALUES',
    'public.t r needs the table public.x',
  ],
  [
    'a policy',
    'CREATE TABLE x (); CREATE POLICY p ON t USING (EXISTS (SELECT FROM x))',
    'public.t p needs the table public.x',
  ],
])('%s that needs a table that is not in the backup is named', async (_, sql, expected) => {
  const {database, target} = await filled(18, `CREATE TABLE t (id int); ${sql}`);
  const backup = await takeSchema(database.source, {tables: ['public.t'], objects: false});
  expect(backup.notices.join()).toContain(expected);
  expect((await restoreSchema(target.source, backup)).join()).toContain('left out of public.t');
});

test('a sequence comes with the table that owns it, whatever it is called', async () => {
  const {database, target} = await filled(
    18,
    `CREATE TABLE x (i int); CREATE TABLE t (i int);
    CREATE SEQUENCE x_own OWNED BY t.i; CREATE SEQUENCE t_own OWNED BY x.i; CREATE SEQUENCE free`,
  );
  await restoreSchema(target.source, await takeSchema(database.source, {tables: ['public.t'], objects: true}));
  const sequences = '(SELECT sequencename FROM pg_sequences)';
  expect(await target.rows(sequences)).toEqual(['(free)', '(x_own)']);
});

test('what needs a table that is left out is named, of whatever kind it is', async () => {
  const {database, target} = await filled(
    18,
    `CREATE TABLE x (); CREATE TABLE t (); CREATE DOMAIN d AS x;
    CREATE TYPE c AS (a x); CREATE PROCEDURE p(x) LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT * FROM x;
    CREATE AGGREGATE g(x) (sfunc = array_append, stype = x[]);
     CREATE FUNCTION f(x) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
  );
  const backup = await takeSchema(database.source, {tables: ['public.t'], objects: true});
  for (const name of ['d', 'c', 'p(public.x)', 'v', 'g(public.x)', 'f(public.x)']) {
    expect(backup.notices.join()).toContain(`public.${name}`);
  }
  expect(await restoreSchema(target.source, backup)).toEqual([]);
});

test('what the index of a constraint needs is in the backup', async () => {
  const {database, target, cluster} = await filled(
    18,
    `CREATE SCHEMA lib; CREATE TABLE t (id int);
    CREATE OPERATOR CLASS lib.ints FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
      OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
    ALTER TABLE t ADD EXCLUDE USING btree (id lib.ints WITH =)`,
  );
  const backup = await takeSchema(database.source, {tables: ['public.t'], objects: false});
  expect(await restoreSchema(target.source, backup)).toEqual([]);
  expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
});

test('keys of partitions, and indexes that become those of a constraint, refuse no backup', async () => {
  const {database, target, cluster} = await filled(
    18,
    `CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE p (id int REFERENCES u) PARTITION BY LIST (id);
     CREATE TABLE p1 PARTITION OF p (UNIQUE (id)) DEFAULT; CREATE UNIQUE INDEX i ON p (id);
     CREATE TABLE to_p (id int REFERENCES u); CREATE TABLE own (id int PRIMARY KEY, up int REFERENCES own)`,
  );
  const tables = ['public.u', 'public.p', 'public.to_p', 'public.own'];
  for (const one of [tables, tables.slice(1)]) await takeSchema(database.source, {tables: one, objects: false});
  expect(await restoreSchema(target.source, await takeSchema(database.source, {tables, objects: true}))).toEqual([]);
  expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
});

test.each(['DATABASE', '(TABLE u)'])(
  'casts that expressions are written with come before the tables: %s',
  async (what) => {
    const {cluster, database, target, done, there} = await filled(
      18,
      `CREATE TYPE pair AS (a int); CREATE FUNCTION first_of(pair) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1.a;
     CREATE CAST (pair AS int) WITH FUNCTION first_of(pair); CREATE TYPE mood AS ENUM ('a', 'b');
     CREATE CAST (varchar AS mood) WITH INOUT AS IMPLICIT;
     CREATE TABLE u (id int PRIMARY KEY, p pair, m mood, v varchar, CHECK ((p::int) > 0), CHECK (v::mood = m));
     INSERT INTO u VALUES (1, ROW (2), 'a', 'a')`,
    );
    await done('sql', `CREATE BACKUP COLLECTION c ${what} WITH (STORAGE='cluster')`);
    await done('sql', '--wait', 'BACKUP c');
    await done(...there, 'sql', '--wait', 'RESTORE c');
    expect(statementsOf(cluster, target.name)).toEqual(statementsOf(cluster, database.name));
    expect(await target.rows('u')).toEqual(await database.rows('u'));
  },
);
