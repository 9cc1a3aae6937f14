import {expect, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import type {Choice} from '../../../src/sources/index.ts';
import type {PostgresSource} from '../../../src/sources/postgres/index.ts';
import {randomFrom} from '../../helpers/random-from.ts';
import {seed as firstSeed} from '../../seeds/seed.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {statementsOf} from './dumped.ts';
import {type EmptyBackup, restoreSchema, takeSchema} from './empty-backup.ts';
import {randomSchema} from './random-schema.ts';

// A dry run says what the restore does then, whatever the schema, the target and the choice are: it works in both or in
// neither, with the same error and the same notices. And it leaves nothing.

const clusters = {15: clusterOfFile(15), 18: clusterOfFile(18)};
const runs = Number(process.env.BKP_TEST_RUNS ?? 8);

/** A statement that the server refuses is none. */
async function fill(database: TestDatabase, statements: readonly string[]): Promise<void> {
  for (const sql of statements) await database.exec(sql).catch(() => {});
}

type Target = {database: TestDatabase; source: PostgresSource; what: string};

const rightsOf = (role: string, schemas: readonly string[]): readonly string[] => [
  `GRANT CREATE ON DATABASE current TO ${role}`,
  ...schemas.map((schema) => `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}`),
  `GRANT SELECT, REFERENCES ON ALL TABLES IN SCHEMA public TO ${role}`,
];

/** Names of types, functions and others, which something else has: `public.e3` is an enum in some schemas. */
function takenNames(backup: EmptyBackup, random: () => number): readonly string[] {
  const shared = JSON.parse(String(backup.database.shared)) as {type: string; schema: string; name: string}[];
  const makers: readonly ((name: string) => string)[] = [
    (name) => `CREATE TYPE ${name} AS ENUM ('a')`,
    (name) => `CREATE TYPE ${name} AS (x date)`,
    (name) => `CREATE DOMAIN ${name} AS text`,
    (name) => `CREATE TABLE ${name} (other int)`,
    (name) => `CREATE SEQUENCE ${name}`,
    (name) => `CREATE VIEW ${name} AS SELECT 1 AS one`,
    (name) => `CREATE FUNCTION ${name}(int) RETURNS text LANGUAGE sql AS 'SELECT $$x$$'`,
  ];
  const names = shared.filter(({schema}) => schema !== '').map(({schema, name}) => ({schema, name}));
  return names.flatMap(({schema, name}) => {
    if (random() < 0.6) return [];
    const make = makers[Math.floor(random() * makers.length)]!;
    const quoted = `"${schema}"."${name.replace(/\(.*$/u, '')}"`;
    return [`CREATE SCHEMA IF NOT EXISTS "${schema}"`, make(quoted)];
  });
}

async function anyTarget(of: {database: TestDatabase; backup: EmptyBackup; version: 15 | 18; random: () => number}) {
  const {database, backup, version, random} = of;
  const kind = Math.floor(random() * 5);
  const other = kind === 1 ? database : await clusters[version]().create();
  const what = ['empty', 'the same database', 'another schema', 'taken names', 'a role with some rights'][kind]!;
  if (kind === 1) {
    for (const {name} of backup.schemas) if (random() < 0.9) await fill(other, [`DROP TABLE ${name} CASCADE`]);
  }
  if (kind === 2) await fill(other, randomSchema(random));
  if (kind === 3) await fill(other, takenNames(backup, random));
  const target: Target = {database: other, source: other.source, what};
  if (kind !== 4) return target;
  const role = `some_${other.name}`;
  const schemas = ['public', 's1', 's2', '"S 3"'];
  await fill(other, [`CREATE ROLE ${role} LOGIN`, ...schemas.map((schema) => `CREATE SCHEMA ${schema}`)]);
  const grants = rightsOf(role, schemas).map((sql) => sql.replace(' current ', ` ${other.name} `));
  await fill(
    other,
    grants.filter(() => random() < 0.8),
  );
  return {...target, source: other.as(role)};
}

async function anyChoice(
  source: PostgresSource,
  {schemas, objects}: EmptyBackup,
  random: () => number,
): Promise<Choice | undefined> {
  const way = random();
  const all = {schemas, objects};
  if (way < 0.6 || schemas.length === 0) return undefined;
  const wanted = schemas.filter(() => random() < 0.6).map(({name}) => ({name}));
  if (wanted.length === 0) return undefined;
  if (way < 0.8) {
    const renamed = wanted.map(({name}, at) => (random() < 0.6 ? {name, as: `copy${at}`} : {name}));
    return source.choose(all, renamed);
  }
  return source.choose(all, wanted, {schema: 'moved'});
}

/** Names of staging schemas and of their objects' numbers are others each time. */
const plain = (text: string) => text.replaceAll(/_bkp_stage_\w+?_(\d+)/gu, '_bkp_stage_$1').replaceAll(/\d{5,}/gu, 'N');
const said = ({code, message, next, details}: BkpError) => ({
  ...{code, message: plain(message), next: next && plain(next)},
  details: details?.map(plain),
});
/** A dry run has no rows, so it refreshes no view, compares no row with a living table, and says so. */
const comparable = (notices: readonly string[]) =>
  notices
    .filter((notice) => !/, which a dry run does not try$|: one of them is not restored, so /u.test(notice))
    .map(plain)
    .toSorted();

for (const version of [15, 18] as const) {
  test(`a dry run with PostgreSQL ${version} says what the restore does (seeds from ${firstSeed})`, async () => {
    const ends = {works: 0, fails: 0};
    const failed: Error[] = [];
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      const random = randomFrom(seed);
      const database = await clusters[version]().create();
      const closed = [database];
      let where = `BKP_TEST_SEED=${seed} BKP_TEST_RUNS=1`;
      try {
        await fill(database, randomSchema(random));
        const tables = (await database.source.describe('all')).map(({name}) => name).filter(() => random() < 0.9);
        const taking = takeSchema(database.source, {tables, objects: random() < 0.5});
        const backup = await taking.catch((error: unknown) => {
          if (error instanceof BkpError && error.code === 'UNSUPPORTED') return undefined;
          throw error;
        });
        if (backup === undefined) continue;
        const target = await anyTarget({database, backup, version, random});
        closed.push(target.database);
        const choice = await anyChoice(target.source, backup, random);
        where += `, PostgreSQL ${version}, ${target.what}, ${choice === undefined ? 'everything' : 'some tables'}`;
        ends[await compare(target, backup, {choice, version})]++;
        if (target.source !== target.database.source) await target.source.close();
      } catch (error) {
        failed.push(new Error(`${where}\n${String((error as Error).message).slice(0, 4000)}`, {cause: error}));
      } finally {
        for (const one of new Set(closed)) await one.close();
      }
    }
    if (process.env.BKP_TEST_RUNS !== undefined)
      console.log(
        ends,
        failed.map(({message}) => message),
      );
    if (failed.length > 0) throw failed[0];
    // About three of ten fail: of a few, none may.
    if (runs >= 40) expect(Math.min(ends.works, ends.fails), JSON.stringify(ends)).toBeGreaterThan(0);
  }, 3_000_000);
}

async function compare(
  {database, source}: Target,
  backup: EmptyBackup,
  {choice, version}: {choice: Choice | undefined; version: 15 | 18},
): Promise<'works' | 'fails'> {
  const isChosen = (name: string) => choice === undefined || choice.tables.some((one) => one.name === name);
  const schemas = backup.schemas.filter(({name}) => isChosen(name));
  const objects =
    choice === undefined ? backup.objects : backup.objects.filter(({name}) => choice.objects.includes(name));
  const published = new Map(
    (choice?.tables ?? []).flatMap(({name, as}) => (as === undefined ? [] : [[name, as] as const])),
  );
  const part = {...backup, schemas, objects, published};
  const incoming = {
    ...{objects, database: backup.database, bytes: 0, stored: schemas},
    schemas: schemas.map((schema) => published.get(schema.name) ?? schema),
  };
  const state = () => statementsOf(clusters[version](), database.name);
  const before = state();
  const {refusal, obstacle, notices} = await source.survey(incoming, {rehearse: true});
  expect(state()).toEqual(before);
  const told = await restoreSchema(source, part).catch((error: BkpError) => error);
  expect(refusal).toBeUndefined();
  if (told instanceof Error) {
    expect(obstacle && said(obstacle), String(told.cause)).toEqual(said(told));
    return 'fails';
  }
  expect(obstacle && said(obstacle), String(obstacle?.cause)).toBeUndefined();
  expect(comparable(notices)).toEqual(comparable(told));
  return 'works';
}
