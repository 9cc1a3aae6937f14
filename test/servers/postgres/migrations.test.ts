import {expect, test} from 'vitest';
import {type Backup, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {type Cluster, clusterOfFile, databaseOfTest, type TestDatabase} from './cluster.ts';

// Whatever becomes of a tracked table or of its log: no statement of an application may fail in a trigger of bkp, and
// the next increment is right.

const versions = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const owner = 'c';

async function expectRestored(on: Cluster, database: TestDatabase, backup: Backup): Promise<void> {
  const target = await databaseOfTest(on, 'SELECT 1');
  await restore(target.source, backup);
  expect(await target.rows('t')).toEqual(await database.rows('t'));
}

const rows = "INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'a')";
const plain = `CREATE TABLE t (id int PRIMARY KEY, k int, v text); ${rows}`;
const pair = `CREATE TABLE t (id int, k int, v text, PRIMARY KEY (id, k)); ${rows}`;
const child = `CREATE TABLE above (id int PRIMARY KEY, k int, v text);
  CREATE TABLE t (PRIMARY KEY (id)) INHERITS (above); ${rows}`;
const parts = `CREATE TABLE t (id int PRIMARY KEY, k int, v text) PARTITION BY HASH (id);
  CREATE TABLE t_a PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE t_b (v text, k int, id int NOT NULL);
  ALTER TABLE t ATTACH PARTITION t_b FOR VALUES WITH (MODULUS 2, REMAINDER 1); ${rows}`;
const listed = `CREATE TABLE t (id varchar(3), k int, v text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
  CREATE TABLE t_a PARTITION OF t FOR VALUES FROM (0) TO (MAXVALUE); ${rows}`;
const quoted = `CREATE TABLE t (id int, "$bkp$%'" text, v text, PRIMARY KEY ("$bkp$%'", id)); ${rows}`;
const mood = `CREATE TYPE mood AS ENUM ('1', '2', '3'); CREATE TABLE t (id mood, k int, v text, PRIMARY KEY (k, id));
  INSERT INTO t VALUES ('1', 1, 'a'), ('2', 2, 'a')`;
const strict = `CREATE DOMAIN strict AS int NOT NULL; CREATE TABLE t (id strict PRIMARY KEY, k int, v text); ${rows}`;

const replaced = (type: string, value: string) => `ALTER TABLE t ADD new_id ${type};
  UPDATE t SET new_id = ${value}; ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id DROP NOT NULL;
  ALTER TABLE t RENAME id TO old_id; ALTER TABLE t RENAME new_id TO id; ALTER TABLE t ADD PRIMARY KEY (id)`;
const keyAgain = 'ALTER TABLE t ADD again int GENERATED ALWAYS AS IDENTITY PRIMARY KEY';

type Migration = {
  what: string;
  before: string;
  migration: string;
  /** `#` stands for a number that each session has for itself. */
  insert: string;
  /** Before the next backup. */
  last?: string;
};

const migrations: readonly Migration[] = [
  {what: 'a renamed key', before: plain, migration: 'ALTER TABLE t RENAME id TO i', insert: 't (i) VALUES (#)'},
  {
    what: 'that of partitions',
    before: parts,
    migration: 'ALTER TABLE t RENAME id TO i',
    insert: 't (i) VALUES (#), (#0)',
  },
  {what: 'that of a child', before: child, migration: 'ALTER TABLE above RENAME id TO i', insert: 't (i) VALUES (#)'},
  {
    what: 'strange names',
    before: quoted,
    migration: `ALTER TABLE t RENAME "$bkp$%'" TO "%s$bkp_$"`,
    insert: `t ("%s$bkp_$", id) VALUES ('x', #)`,
  },
  {
    what: 'exchanged names',
    before: plain,
    migration: 'ALTER TABLE t RENAME id TO x; ALTER TABLE t RENAME k TO id',
    insert: 't (x) VALUES (#)',
  },
  {
    what: 'a dropped part of the key',
    before: pair,
    migration: 'ALTER TABLE t DROP k CASCADE',
    insert: 't (id) VALUES (#)',
    last: keyAgain,
  },
  {
    what: 'that of partitions',
    before: listed,
    migration: 'ALTER TABLE t DROP id',
    insert: 't (k) VALUES (#)',
    last: 'ALTER TABLE t ADD PRIMARY KEY (k)',
  },
  {
    what: 'a column of another type in its place',
    before: pair,
    migration: 'ALTER TABLE t DROP k CASCADE, ADD k uuid',
    insert: 't (id, k) VALUES (#, gen_random_uuid())',
    last: keyAgain,
  },
  {
    what: 'one of the same type',
    before: plain,
    migration: 'ALTER TABLE t DROP id CASCADE, ADD id int',
    insert: 't (k) VALUES (#)',
    last: keyAgain,
  },
  {
    what: 'a new key of bigint',
    before: plain,
    migration: replaced('bigint', 'id'),
    insert: 't VALUES (1, 1, NULL, #000000000)',
  },
  {
    what: 'a new key of uuid',
    before: plain,
    migration: replaced('uuid', 'gen_random_uuid()'),
    insert: 't (id) VALUES (gen_random_uuid())',
  },
  {
    what: 'another type',
    before: plain,
    migration: 'DROP TRIGGER "~bkp_k" ON t; ALTER TABLE t ALTER id TYPE bigint',
    insert: 't (id) VALUES (#000000000)',
  },
  {
    what: 'that of partitions',
    before: parts,
    migration: 'ALTER TABLE t ALTER v TYPE varchar; ALTER TABLE t ADD w int',
    insert: 't (id) VALUES (#), (#0)',
  },
  {
    what: 'another type of a key below partitions',
    before: listed,
    migration: 'ALTER TABLE t ALTER id TYPE bigint USING id::bigint',
    insert: 't (id, k) VALUES (#000000000, 1)',
  },
  {
    what: 'a wider key',
    before: listed,
    migration: 'ALTER TABLE t ALTER id TYPE varchar(30)',
    insert: "t (id, k) VALUES ('much longer #', 1)",
  },
  {
    what: 'another type of what was a child',
    before: child,
    migration: 'ALTER TABLE t NO INHERIT above; ALTER TABLE t ALTER id TYPE numeric',
    insert: 't (id) VALUES (#000000000.5)',
  },
  {
    what: 'a dropped type',
    before: mood,
    migration: 'DROP TYPE mood CASCADE',
    insert: 't (k) VALUES (#)',
    last: keyAgain,
  },
  {
    what: 'a value of an enum',
    before: mood,
    migration: "ALTER TYPE mood RENAME VALUE '3' TO 'three'",
    insert: "t (id, k) VALUES ('three', #)",
  },
  {what: 'a domain', before: strict, migration: 'TRUNCATE t', insert: 't (id) VALUES (#)'},
  {
    what: 'a domain with a new constraint',
    before: strict,
    migration: 'ALTER DOMAIN strict ADD CHECK (value < 1000)',
    insert: 't (id) VALUES (#)',
  },
  {
    what: 'another name and schema of the table',
    before: plain,
    migration: 'CREATE SCHEMA other; ALTER TABLE t RENAME TO u; ALTER TABLE u SET SCHEMA other',
    insert: 'other.u (id) VALUES (#)',
    last: 'ALTER TABLE other.u SET SCHEMA public; ALTER TABLE u RENAME TO t',
  },
  {what: 'no tracking', before: plain, migration: 'DROP SCHEMA _bkp CASCADE', insert: 't (id) VALUES (#)'},
  {what: 'no log', before: plain, migration: 'DROP TABLE LOG', insert: 't (id) VALUES (#)'},
  {
    what: 'a log of another name',
    before: parts,
    migration: 'ALTER TABLE LOG RENAME TO x',
    insert: 't (id) VALUES (#), (#0)',
  },
  {
    what: 'another log',
    before: plain,
    migration: 'DROP TABLE LOG; CREATE TABLE LOG (a int NOT NULL)',
    insert: 't (id) VALUES (#)',
  },
  {what: 'a log without keys', before: plain, migration: 'ALTER TABLE LOG DROP k0', insert: 't (id) VALUES (#)'},
];

const cases = ([15, 18] as const).flatMap((build) => migrations.map((each) => ({build, ...each})));

test.each(cases)('on version $build, writers see nothing of bkp after $what: $migration', async (each) => {
  const {build, before, migration, insert, last} = each;
  const on = versions[build]();
  const database = await databaseOfTest(on, `${before}; CREATE TABLE other (id int PRIMARY KEY)`);
  const tables = before === child ? ['public.above', 'public.t'] : ['public.t'];
  const full = await takeFull(database.source, {tables, track: {owner}});
  const log = (await database.rows("(SELECT '_bkp.log_' || 't'::regclass::oid)"))[0]!.slice(1, -1);

  // Two know the functions of the table as it was, and one of these has a snapshot from before.
  const sessions = [await on.client(database.name), await on.client(database.name)];
  for (const session of sessions) {
    await session.query('UPDATE t SET v = v; INSERT INTO t SELECT * FROM t WHERE false; DELETE FROM t WHERE v IS NULL');
  }
  await sessions[0]!.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM other');
  await database.exec(migration.replaceAll('LOG', log));
  sessions.push(await on.client(database.name));
  const table = insert.split(' ')[0]!;
  for (const [at, session] of sessions.entries()) {
    await session.query(`INSERT INTO ${insert.replaceAll('#', String(at + 5))}`);
    if (at === 0) await session.query('COMMIT');
    await session.query(`UPDATE ${table} SET v = '${at}'`);
    await session.query(`DELETE FROM ${table} WHERE ctid = (SELECT min(ctid) FROM ${table})`);
    await session.end();
  }

  if (last !== undefined) await database.exec(last);
  const increment = migration.startsWith('DROP SCHEMA')
    ? await takeFull(database.source, {tables, track: {owner}})
    : await takeIncrement(database.source, owner, full);
  await expectRestored(on, database, increment);

  await database.exec("UPDATE t SET v = 'next'");
  const notices: string[] = [];
  const next = await takeIncrement(database.source, owner, increment, {notice: (text) => notices.push(text)});
  await expectRestored(on, database, next);
  expect(notices).toEqual([]);
});
