import {expect, onTestFinished, test} from 'vitest';
import {loadStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {addressOf, openPostgresDesk} from './desk.ts';
import {statementsOf} from './dumped.ts';
import {wildSchema} from './faithful.ts';

const cluster = clusterOfFile('contrib');

const schemaOf = ({name}: TestDatabase) => statementsOf(cluster(), name);

/** Tables, partitions and materialized views, as statements name them. */
const relations = `(SELECT format('%I.%I', n.nspname, c.relname), c.relispopulated FROM pg_class c
  JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'm') AND nspname IN ('app', 'Odd Schema'))`;

test('a restored database has every statement of its source, by pg_dump, and every row', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec('CREATE ROLE wild_reader; CREATE ROLE wild_owner; CREATE ROLE wild_maker SUPERUSER');
  // Another role than the one that restores.
  await database.exec(`SET ROLE wild_maker; ${wildSchema}`);
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec("UPDATE app.orders SET note = 'changed' WHERE id < 9; INSERT INTO app.hashed VALUES (99, 'new')");
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const restored = await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(restored).not.toMatch(/left out|not in/u);
  expect(schemaOf(target)).toEqual(schemaOf(database));
  const found = await database.rows(relations);
  expect(found.length).toBeGreaterThan(24);
  expect(await target.rows(relations)).toEqual(found);
  for (const line of found.filter((one) => one.endsWith(',t)'))) {
    const name = line
      .slice(1, -3)
      .replace(/^"(.*)"$/u, '$1')
      .replaceAll('""', '"');
    expect(await target.rows(name), name).toEqual(await database.rows(name));
  }
  // amcheck, which this server has.
  await done('sql', '--wait', "VERIFY c WITH (LEVEL='restore')");
  const page = await done('report', 'c');
  expect(page).toMatch(/amcheck found no fault in \d+ indexes/u);
});

/** In its comments, pg_dump writes a space for each end of a line in a name. */
const oddNames = `
  CREATE ROLE "odd\nrole"; CREATE SCHEMA "odd\nschema"; GRANT USAGE ON SCHEMA "odd\nschema" TO "odd\nrole";
  CREATE SCHEMA "two words";
  CREATE TYPE "odd\nschema"."ty\npe" AS ENUM ('a', 'b\nc');
  CREATE SEQUENCE "odd\nschema"."se\nq" START 7;
  CREATE TABLE "odd\nschema"."T\nle" (id int, "va\nlue" text DEFAULT 'x', kind "odd\nschema"."ty\npe",
    serial serial, CONSTRAINT "p\nkey" PRIMARY KEY (id), CONSTRAINT "che\nck" CHECK (id > 0));
  ALTER TABLE "odd\nschema"."T\nle" ALTER "va\nlue" SET STATISTICS 500, OWNER TO "odd\nrole";
  CREATE INDEX "in\ndex" ON "odd\nschema"."T\nle" ("va\nlue");
  CREATE STATISTICS "odd\nschema"."st\nat" ON id, "va\nlue" FROM "odd\nschema"."T\nle";
  COMMENT ON INDEX "odd\nschema"."in\ndex" IS 'of it';
  CREATE TABLE "two words"."my orders" (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
  CREATE TABLE "two words"."my orders 1" PARTITION OF "two words"."my orders" FOR VALUES IN (1);
  ALTER TABLE "two words"."my orders" ADD FOREIGN KEY (id) REFERENCES "odd\nschema"."T\nle";
  CREATE TABLE "two words".periods (id int4range, "of" daterange, PRIMARY KEY (id, "of" WITHOUT OVERLAPS));
  CREATE FUNCTION "two words".settings() RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
SET default_statistics_target = 5;
ALTER TABLE pg_temp.x OWNER TO postgres;
END $f$;
  CREATE FUNCTION "two words".listed() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
  CREATE VIEW "odd\nschema"."vi\new" AS SELECT id FROM "odd\nschema"."T\nle";
  CREATE RULE "ru\nle" AS ON INSERT TO "odd\nschema"."vi\new" DO INSTEAD NOTHING;
  INSERT INTO "odd\nschema"."T\nle" VALUES (1, 'one', 'b\nc'); INSERT INTO "two words"."my orders" VALUES (1, 1);
  INSERT INTO "two words".periods VALUES ('[1,2)', '[2026-01-01,2027-01-01)')`;

test('names with ends of lines and spaces, and what functions consist of, come back as they are', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(oddNames);
  const {done} = openPostgresDesk(cluster(), database.name);
  await done('sql', "CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
  await done('sql', '--wait', 'BACKUP c');
  await database.exec(`UPDATE "odd\nschema"."T\nle" SET "va\nlue" = 'changed'`);
  await done('sql', '--wait', 'BACKUP c INCREMENTAL');
  const target = await cluster().create();
  onTestFinished(() => target.close());
  await done('--source', addressOf(cluster(), target.name), 'sql', '--wait', 'RESTORE c');
  expect(schemaOf(target)).toEqual(schemaOf(database));
  for (const name of [
    '"odd\nschema"."T\nle"',
    '"two words"."my orders"',
    '(SELECT last_value FROM "odd\nschema"."se\nq")',
  ]) {
    expect(await target.rows(name), name).toEqual(await database.rows(name));
  }
});

test('an extension that the target has stays when a restore fails, and one that it brought goes', async () => {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`CREATE EXTENSION citext; CREATE EXTENSION pgcrypto;
    CREATE TABLE t (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, mail citext,
      hash text DEFAULT crypt('', gen_salt('md5')))`);
  const backup = await takeFull(database.source, {tables: ['public.t']});
  const target = await cluster().create();
  onTestFinished(() => target.close());
  await target.exec('CREATE EXTENSION pgcrypto');
  const staging = await loadStaging(target.source, backup);
  const extensions = "(SELECT extname FROM pg_extension WHERE extname <> 'plpgsql')";
  expect(await target.rows(extensions)).toEqual(['(citext)', '(pgcrypto)']);
  await staging.discard();
  expect(await target.rows(extensions)).toEqual(['(pgcrypto)']);
});
