import {expect, onTestFinished, test} from 'vitest';
import {fillStaging, restore, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

const cluster = clusterOfFile(15);

/** A database without the locale of the source, and what a restore into it says. */
async function restoredInto(locale: string, sql: string, tables: readonly string[], {from = ''} = {}) {
  const {database: plain, target} = await filledAndEmpty(cluster(), from === '' ? sql : '');
  const create = async (name: string, words: string) => {
    await target.exec(`CREATE DATABASE ${name} TEMPLATE template0 ${words}`);
    const made = target.named(name);
    onTestFinished(() => made.close());
    return made;
  };
  const database = from === '' ? plain : await create(`${target.name}_from`, from);
  if (from !== '') await database.exec(sql);
  const other = await create(`${target.name}_to`, locale);
  const full = await takeFull(database.source, {tables});
  const missing: {name: string; why: string}[] = [];
  const told: string[] = [];
  const staging = await fillStaging(other.source, full);
  await staging.publish({notice: (text) => told.push(text), missing: (part) => missing.push(part)});
  await staging.discard();
  expect(await other.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp%')")).toEqual([]);
  for (const table of tables) expect(await other.rows(table)).toEqual(await database.rows(table));
  return {database, target: other, missing, told, full};
}

const plainC = "LOCALE 'C'";
const english = "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en'";

test('generated columns of another locale have the values of the backup, and are named', async () => {
  const {target, missing, told} = await restoredInto(
    plainC,
    `CREATE TABLE t (id text PRIMARY KEY, n int, up text NOT NULL GENERATED ALWAYS AS (upper(id)) STORED,
       twice int GENERATED ALWAYS AS (n * 2) STORED, low text GENERATED ALWAYS AS (lower(id)) STORED);
     CREATE UNIQUE INDEX i ON t (up); INSERT INTO t VALUES ('é', 1), ('z', 2);
     CREATE TABLE a (id int, v text, up text GENERATED ALWAYS AS (upper(v) || id) STORED);
     CREATE TABLE b () INHERITS (a); INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1, 'ß'), (2, 'ä');
     CREATE TABLE p (id int, v text, up text GENERATED ALWAYS AS (upper(v)) STORED) PARTITION BY LIST (id);
     CREATE TABLE p1 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1, 'ö');
     CREATE TABLE same (id int PRIMARY KEY, v text, up text GENERATED ALWAYS AS (upper(v)) STORED);
     INSERT INTO same VALUES (1, 'Abc'), (2, NULL)`,
    ['public.t', 'public.a', 'public.b', 'public.p', 'public.same'],
  );
  expect(missing.map(({name}) => name).toSorted()).toEqual([
    'the expression of the generated column up of public.a, and of tables that inherit from it',
    'the expression of the generated column up of public.p',
    'the expression of the generated column up of public.t',
  ]);
  expect(missing[0]!.why).toMatch(
    /^up is computed otherwise than it was; .* a database that has the locale C\.UTF-8 brings it as it was; UPDATE /u,
  );
  expect(told).toEqual([
    expect.stringMatching(/^the database orders texts as in C, that of the backup as in C\.UTF-8/u),
  ]);
  await target.exec("INSERT INTO same VALUES (3, 'new'); INSERT INTO t VALUES ('q', 3, 'Q')");
  expect(await target.rows('same')).toContain('(3,new,NEW)');
});

test('a restore into the same locale keeps generated columns and says nothing', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE TABLE t (id text PRIMARY KEY, up text GENERATED ALWAYS AS (upper(id)) STORED); INSERT INTO t VALUES ('é')`,
  );
  const told: string[] = [];
  const staging = await fillStaging(target.source, await takeFull(database.source, {tables: ['public.t']}));
  await staging.publish({notice: (text) => told.push(text), missing: ({name}) => told.push(name)});
  await staging.discard();
  expect(told).toEqual([]);
  await target.exec("INSERT INTO t VALUES ('b')");
  expect(await target.rows('t')).toEqual(['(b,B)', '(é,É)']);
});

test('rows that another locale gives no partition come back in a default one, and are named', async () => {
  const {target, missing} = await restoredInto(
    english,
    `CREATE TABLE p (id int, v text) PARTITION BY RANGE (v);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('1') TO ('a');
     CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('a') TO ('m');
     INSERT INTO p VALUES (1, 'B'), (2, 'Z'), (3, 'b')`,
    ['public.p'],
  );
  expect(missing).toEqual([
    {
      name: 'the partition of 1 row of public.p',
      why: expect.stringMatching(/they are in public\.bkp_rest_\d+_0 .* has the locale C\.UTF-8 brings them there$/u),
    },
  ]);
  expect(await target.rows('p')).toEqual(['(1,B)', '(2,Z)', '(3,b)']);
});

test('partitions that cannot be in another locale are refused with the step that helps', async () => {
  const failed = restoredInto(
    english,
    `CREATE TABLE p (v text) PARTITION BY RANGE (v); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('Z') TO ('a')`,
    ['public.p'],
  );
  await expect(failed).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('empty range bound specified for partition "p1"'),
    cause: expect.stringContaining('as in icu en, that of the backup as in C.UTF-8'),
    next: expect.stringContaining('createdb'),
  });
});

test('a key of another collation of the same name is refused with the step that helps', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE COLLATION c (provider = icu, locale = 'und');
     CREATE TABLE t (id text COLLATE c PRIMARY KEY); INSERT INTO t VALUES ('a'), ('A')`,
  );
  await target.exec("CREATE COLLATION c (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  const backup = await takeFull(database.source, {tables: ['public.t']});
  await expect(restore(target.source, backup)).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringMatching(/^rows of public\.t have the same primary key in the target: /u),
    next: expect.stringContaining('--source'),
  });
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname ~ '^_bkp')")).toEqual([]);
});
