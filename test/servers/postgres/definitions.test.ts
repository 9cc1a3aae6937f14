import {execFileSync} from 'node:child_process';
import {chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {Snapshot, SnapshotOptions, TableSource} from '../../../src/sources/index.ts';
import {definitionsHash} from '../../../src/sources/postgres/catalog/definitions.ts';
import {connect} from '../../../src/sources/postgres/connection/connect.ts';
import type {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {resolveConnection} from '../../../src/sources/postgres/connection/resolve.ts';
import {fixSettings} from '../../../src/sources/postgres/connection/session.ts';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed} from '../../seeds/seed.ts';
import {type Cluster, clusterOfFile, type TestDatabase} from './cluster.ts';
import {randomSchema} from './random-schema.ts';

// An increment takes over the schema of the backup before if a hash of all catalogs is the same. So whatever changes
// what pg_dump writes must change the hash.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};

async function emptyDatabase(cluster: Cluster): Promise<TestDatabase> {
  const database = await cluster.create();
  onTestFinished(() => database.close());
  return database;
}

async function sessionOf(cluster: Cluster, {name}: TestDatabase, user = 'postgres'): Promise<Connection> {
  const parameters = {host: join(cluster.folder, 's'), port: String(cluster.port), user, dbname: name};
  const connection = await connect(resolveConnection(parameters, {env: {}}), 'bkp test');
  onTestFinished(() => connection.close());
  return connection;
}

/** Of one database, on a session of its own. */
async function hashing(...session: Parameters<typeof sessionOf>): Promise<() => Promise<string | undefined>> {
  const connection = await sessionOf(...session);
  return () =>
    connection.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', async () => {
      await fixSettings(connection, {lockTimeoutSeconds: 5});
      return definitionsHash(connection);
    });
}

const dumpOf = ({clientBin, where}: Cluster, {name}: TestDatabase) =>
  execFileSync(join(clientBin, 'pg_dump'), ['-s', ...where, name], {encoding: 'utf8'}).replaceAll(
    /^\\(?:un)?restrict .*$/gmu,
    '',
  );

const schema = `
  CREATE ROLE definer;
  CREATE SCHEMA app;
  CREATE TYPE app.mood AS ENUM ('good', 'bad');
  CREATE TYPE app.pair AS (a int, b int);
  CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
  CREATE SEQUENCE app.numbers;
  CREATE FUNCTION app.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
  CREATE FUNCTION app.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE PROCEDURE app.acts() LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE item (id int PRIMARY KEY, n int DEFAULT 1, v text, m app.mood);
  CREATE TABLE part (id int, at date) PARTITION BY RANGE (at);
  CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
  CREATE TABLE old_part (id int, at date);
  CREATE TABLE child () INHERITS (item);
  CREATE INDEX item_n ON item (n);
  CREATE SEQUENCE own;
  CREATE VIEW shown AS SELECT id FROM item;
  CREATE MATERIALIZED VIEW kept AS SELECT id FROM item WITH NO DATA;
  CREATE COLLATION app.plain (provider = libc, locale = 'C');
  CREATE TEXT SEARCH CONFIGURATION app.words (copy = simple);
  CREATE TRIGGER item_fires BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION app.fires();
  CREATE RULE item_rule AS ON DELETE TO item DO ALSO SELECT 1;
  CREATE POLICY item_policy ON item USING (true);
  CREATE STATISTICS item_statistics ON n, v FROM item;
  ALTER TABLE item ADD CONSTRAINT item_check CHECK (n > 0) NOT VALID;
  CREATE OPERATOR app.## (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
  CREATE FUNCTION app.of_pair(app.pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION app.noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';`;

/** One for each kind of object, and for each way to change one. */
const changes = [
  'CREATE TABLE other (id int)',
  'ALTER TABLE item ADD w int',
  'ALTER TABLE item ALTER n SET DEFAULT 2',
  'ALTER TABLE item ALTER n DROP DEFAULT',
  'ALTER TABLE item ALTER n SET NOT NULL',
  'ALTER TABLE item ALTER v SET STORAGE external',
  'ALTER TABLE item ALTER v SET STATISTICS 7',
  'ALTER TABLE item ALTER v SET (n_distinct = 5)',
  'ALTER TABLE item ALTER v TYPE varchar(9)',
  'ALTER TABLE item RENAME v TO w',
  'ALTER TABLE item RENAME TO thing',
  'ALTER TABLE item SET SCHEMA app',
  'ALTER TABLE item SET (fillfactor = 50)',
  'ALTER TABLE item SET (toast.autovacuum_enabled = false)',
  'ALTER TABLE item REPLICA IDENTITY FULL',
  'ALTER TABLE item ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE item OWNER TO definer',
  'ALTER TABLE item CLUSTER ON item_pkey',
  'ALTER TABLE item VALIDATE CONSTRAINT item_check',
  'ALTER TABLE item RENAME CONSTRAINT item_check TO item_checked',
  'ALTER TABLE item ADD UNIQUE (v)',
  'ALTER TABLE child NO INHERIT item',
  'ALTER TABLE part DETACH PARTITION part_1',
  "ALTER TABLE part ATTACH PARTITION old_part FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
  'ALTER INDEX item_n RENAME TO by_n',
  'CREATE INDEX ON item (v)',
  'DROP INDEX item_n',
  'ALTER TABLE item DISABLE TRIGGER item_fires',
  'DROP TRIGGER item_fires ON item',
  'ALTER TABLE item DISABLE RULE item_rule',
  'CREATE OR REPLACE RULE item_rule AS ON DELETE TO item DO ALSO SELECT 2',
  'ALTER POLICY item_policy ON item USING (false)',
  'ALTER STATISTICS item_statistics SET STATISTICS 9',
  "ALTER TYPE app.mood ADD VALUE 'fair'",
  "ALTER TYPE app.mood RENAME VALUE 'bad' TO 'poor'",
  'ALTER TYPE app.pair ADD ATTRIBUTE c int',
  'ALTER DOMAIN app.positive ADD CHECK (VALUE < 100)',
  'ALTER DOMAIN app.positive SET DEFAULT 3',
  'ALTER SEQUENCE app.numbers INCREMENT 2',
  'ALTER SEQUENCE own OWNED BY item.id',
  "CREATE OR REPLACE FUNCTION app.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $1'",
  "ALTER FUNCTION app.twice(int) SET datestyle = 'ISO'",
  'ALTER FUNCTION app.twice(int) COST 7',
  'ALTER PROCEDURE app.acts() SECURITY DEFINER',
  "CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '0')",
  'CREATE CAST (app.pair AS int) WITH FUNCTION app.of_pair(app.pair)',
  'DROP OPERATOR app.## (int, int)',
  `CREATE OPERATOR CLASS app.reversed FOR TYPE int4 USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =,
    OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int4, int4)`,
  'CREATE OPERATOR FAMILY app.family USING btree',
  'CREATE OR REPLACE VIEW shown AS SELECT id FROM item WHERE n > 1',
  'ALTER VIEW shown SET (security_barrier = true)',
  'REFRESH MATERIALIZED VIEW kept',
  'ALTER COLLATION app.plain RENAME TO simple',
  'ALTER TEXT SEARCH CONFIGURATION app.words DROP MAPPING FOR word',
  'CREATE TEXT SEARCH DICTIONARY app.stems (template = simple)',
  "CREATE CONVERSION app.convert FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
  'CREATE TYPE app.span AS RANGE (subtype = float8)',
  'CREATE FOREIGN DATA WRAPPER wrapper',
  'CREATE ACCESS METHOD stored TYPE TABLE HANDLER heap_tableam_handler',
  'CREATE EVENT TRIGGER seen ON ddl_command_start EXECUTE FUNCTION app.noted()',
  'CREATE PUBLICATION told FOR TABLE item',
  'DROP EXTENSION plpgsql CASCADE',
  'CREATE SCHEMA more',
  'DROP SCHEMA app CASCADE',
  "COMMENT ON COLUMN item.v IS 'text'",
  "COMMENT ON INDEX item_n IS 'text'",
  "COMMENT ON SCHEMA app IS 'text'",
  'GRANT SELECT ON item TO definer',
  'GRANT UPDATE (v) ON item TO definer',
  'GRANT USAGE ON SCHEMA app TO definer',
  'REVOKE EXECUTE ON FUNCTION app.twice(int) FROM public',
  'REVOKE SELECT ON pg_catalog.pg_proc FROM public',
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO definer',
  'ALTER ROLE definer RENAME TO named',
];

/** What nothing of a definition depends on. */
const others = [
  "INSERT INTO item SELECT g, g + 1, 'x' FROM generate_series(1, 100) g",
  'UPDATE item SET n = n + 1',
  'DELETE FROM item WHERE id > 50',
  "SELECT nextval('app.numbers')",
  'ANALYZE',
  'VACUUM',
  'VACUUM (FREEZE) item',
  'CREATE TEMP TABLE gone (id serial PRIMARY KEY, v text CHECK (v > $$a$$), UNIQUE (v))',
  'CREATE TEMP VIEW gone_view AS SELECT 1',
  'CREATE TABLE never (id int); ROLLBACK',
  'CHECKPOINT',
];

for (const version of [15, 18] as const) {
  test(`PostgreSQL ${version}: every change of a definition changes the hash`, async () => {
    const cluster = clusters[version]();
    const database = await emptyDatabase(cluster);
    await database.exec(schema);
    onTestFinished(() => database.exec('DROP OWNED BY definer CASCADE; DROP ROLE definer'));
    const connection = await sessionOf(cluster, database);
    const hash = () => definitionsHash(connection);
    for (const change of changes) {
      await connection.run('BEGIN');
      await fixSettings(connection, {lockTimeoutSeconds: 5});
      const before = await hash();
      expect(before).toMatch(/^[0-9a-f]{64}$/u);
      await connection.run(`SET LOCAL search_path = public; ${change}; SET LOCAL search_path = ''`);
      expect(await hash(), change).not.toBe(before);
      await connection.run('ROLLBACK');
    }
  });

  test(`PostgreSQL ${version}: rows, statistics and temporary tables change nothing`, async () => {
    const cluster = clusters[version]();
    const database = await emptyDatabase(cluster);
    await database.exec(schema);
    onTestFinished(() => database.exec('DROP OWNED BY definer CASCADE; DROP ROLE definer'));
    const hash = await hashing(cluster, database);
    const before = await hash();
    for (const sql of others) {
      for (const statement of sql.includes('ROLLBACK') ? [`BEGIN; ${sql}`] : sql.split('; '))
        await database.exec(statement);
      expect(await hash(), sql).toBe(before);
    }
  });

  test(`PostgreSQL ${version}: whenever the dump differs, the hash does (seed ${seed})`, async () => {
    const cluster = clusters[version]();
    const database = await emptyDatabase(cluster);
    const hash = await hashing(cluster, database);
    let [dumped, hashed] = [dumpOf(cluster, database), await hash()];
    let changed = 0;
    for (const sql of randomSchema(randomFrom(seed))) {
      await database.exec(sql).catch(() => {});
      const [dumpNow, hashNow] = [dumpOf(cluster, database), await hash()];
      if (dumpNow !== dumped) {
        changed++;
        expect(hashNow, sql).not.toBe(hashed);
      }
      [dumped, hashed] = [dumpNow, hashNow];
    }
    expect(changed).toBeGreaterThan(0);
  });
}

test('a role that cannot read a catalog has no hash, and one without rights has', async () => {
  const cluster = clusters[18]();
  const database = await emptyDatabase(cluster);
  await database.exec('CREATE ROLE reader LOGIN');
  onTestFinished(() => database.exec('DROP OWNED BY reader; DROP ROLE reader'));
  const hash = await hashing(cluster, database, 'reader');
  expect(await hash()).toMatch(/^[0-9a-f]{64}$/u);
  await database.exec('REVOKE SELECT ON pg_catalog.pg_rewrite FROM public');
  expect(await hash()).toBeUndefined();
});

/** Programs that note when they run. `around`: what happens before and after each dump. */
function watchedPrograms(
  {clientBin, where}: Cluster,
  {name}: TestDatabase,
  around: readonly [string, string] = ['', ''],
) {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-programs-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const noted = join(folder, 'noted');
  const psql = (sql: string) =>
    sql === '' ? ':' : `'${join(clientBin, 'psql')}' ${where.join(' ')} -q -c "${sql}" ${name}`;
  const script = (program: string, lines: readonly string[]) => {
    writeFileSync(join(folder, program), ['#!/bin/sh', ...lines, ''].join('\n'));
    chmodSync(join(folder, program), 0o755);
  };
  script('pg_dump', [
    `[ "$1" = --version ] && exec '${join(clientBin, 'pg_dump')}' --version`,
    `echo dump >> '${noted}'`,
    psql(around[0]),
    `'${join(clientBin, 'pg_dump')}' "$@" || exit 1`,
    psql(around[1]),
  ]);
  script('pg_restore', [`exec '${join(clientBin, 'pg_restore')}' "$@"`]);
  const dumps = () => (existsSync(noted) ? readFileSync(noted, 'utf8').split('\n').length - 1 : 0);
  return {pgBin: folder, dumps};
}

type Parts = Pick<Snapshot, 'schemas' | 'objects' | 'database'> & {notices: readonly string[]};

async function partsOf(
  source: TableSource,
  options: Pick<SnapshotOptions, 'tables' | 'objects' | 'omitIndexes' | 'whole'>,
  before?: Parts,
): Promise<Parts> {
  const notices: string[] = [];
  const notice = (text: string) => notices.push(text);
  const snapshot = await source.snapshot({objects: true, ...options, track: {owner: 'c'}, before, notice});
  await snapshot.close();
  const {schemas, objects, database} = snapshot;
  return {schemas, objects, database, notices};
}

const shop = `
  CREATE TABLE item (id serial PRIMARY KEY, v text);
  CREATE TABLE elsewhere (id int);
  CREATE FUNCTION reads(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 IN (SELECT id FROM elsewhere); END';
  CREATE TABLE line (id int PRIMARY KEY, item int CHECK (reads(item)));
  CREATE SEQUENCE alone; CREATE SEQUENCE shared; ALTER TABLE line ALTER item SET DEFAULT nextval('shared');
  CREATE VIEW shown AS SELECT v FROM item; CREATE PUBLICATION told;`;
const shopTables = ['public.item', 'public.line'];

test.each([15, 18] as const)('a function that was changed after its column or key is named (%i)', async (version) => {
  const database = await emptyDatabase(clusters[version]());
  const twice = (text: string) =>
    `CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN ${text}; END'`;
  await database.exec(`${twice('$1')};
    CREATE TABLE made (id int PRIMARY KEY, g int GENERATED ALWAYS AS (f(id)) STORED);
    CREATE TABLE parted (id int) PARTITION BY LIST (f(id)); CREATE TABLE one PARTITION OF parted FOR VALUES IN (1);
    INSERT INTO made VALUES (1); INSERT INTO parted VALUES (1)`);
  const source = database.with({pgBin: watchedPrograms(clusters[version](), database).pgBin});
  onTestFinished(() => source.close());
  const options = {tables: ['public.made', 'public.parted'], whole: ['public.parted']};
  const first = await partsOf(source, options);
  expect(first.notices).toEqual([]);
  await database.exec(twice('$1 + 1'));
  const second = await partsOf(source, options, first);
  const column = 'column g of public.made calls public.f(integer)';
  const key = 'key of the partitions of public.parted calls public.f(integer)';
  expect(second.notices).toEqual([expect.stringContaining(`${column}; ${key}`)]);
  // An increment says it again.
  expect((await partsOf(source, options, second)).notices).toEqual(second.notices);
});

test('as long as no definition changes, the schema before is taken over, with values of now', async () => {
  const cluster = clusters[18]();
  const database = await emptyDatabase(cluster);
  await database.exec(shop);
  const {pgBin, dumps} = watchedPrograms(cluster, database);
  const source = database.with({pgBin});
  onTestFinished(() => source.close());
  const tables = shopTables;
  const first = await partsOf(source, {tables});
  expect(dumps()).toBe(1);
  expect(first.notices).toEqual([
    expect.stringContaining('public.line calls public.reads(integer), which mentions public.elsewhere'),
  ]);
  await database.exec(`INSERT INTO item (v) VALUES ('a'), ('b'); SELECT nextval('alone'), nextval('shared')`);
  const second = await partsOf(source, {tables: tables.toReversed()}, first);
  expect(dumps()).toBe(1);
  // All of it as if it had been read again.
  const again = await partsOf(source, {tables: tables.toReversed()});
  expect(dumps()).toBe(2);
  expect(second).toEqual(again);
  expect(second).not.toEqual(first);
  // Nor does an empty database change it.
  await database.exec('DELETE FROM item');
  expect(await partsOf(source, {tables: tables.toReversed()}, second)).toEqual(again);
  expect(dumps()).toBe(2);
  // The same of another question is not the same.
  await partsOf(source, {tables: [tables[0]!]}, second);
  await partsOf(source, {tables, omitIndexes: true}, second);
  await partsOf(source, {tables, objects: false}, second);
  expect(dumps()).toBe(5);
  await database.exec("COMMENT ON COLUMN item.v IS 'new'");
  const third = await partsOf(source, {tables}, second);
  expect(dumps()).toBe(6);
  expect(JSON.stringify(third.schemas)).toContain("COMMENT ON COLUMN public.item.v IS 'new'");
});

test('what changes while pg_dump runs, and changes back, is not taken over', async () => {
  const cluster = clusters[18]();
  const database = await emptyDatabase(cluster);
  await database.exec("CREATE TABLE item (id int PRIMARY KEY); COMMENT ON TABLE item IS 'one'");
  const around = ["COMMENT ON TABLE item IS 'two'", "COMMENT ON TABLE item IS 'one'"] as const;
  const disturbed = database.with({pgBin: watchedPrograms(cluster, database, around).pgBin});
  onTestFinished(() => disturbed.close());
  const tables = ['public.item'];
  const first = await partsOf(disturbed, {tables});
  expect(first.database.definitions).toBeUndefined();
  const {pgBin, dumps} = watchedPrograms(cluster, database);
  const quiet = database.with({pgBin});
  onTestFinished(() => quiet.close());
  const second = await partsOf(quiet, {tables}, first);
  expect(dumps()).toBe(1);
  expect(JSON.stringify(second.schemas)).toContain("IS 'one'");
});
