import {globSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type pg from 'pg';
import {expect, test} from 'vitest';
import {type BackupName, planRestore, type RestorePlan} from '../../../src/collections/index.ts';
import type {BkpError} from '../../../src/errors/index.ts';
import type {MergeMode, TableSource, WantedTable} from '../../../src/sources/index.ts';
import {countedRestore, type RestoreEnd} from '../../helpers/counted-restore.ts';
import {type Bench, collectDatabase, inProcess} from '../../helpers/in-process.ts';
import {seed as firstSeed} from '../../seeds/seed.ts';
import {Random} from '../../simulator/random.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {anyAlteration, anyChange, quoted, type RandomTables, randomTables, types} from './random-tables.ts';

// What a dry run says of a restore is compared with what the restore then does: tables whose rows and columns changed
// at random since a full backup or an increment, into the same database and into others, under other names, into
// another schema, with modes, and with packs missing. `dry-run-random.test.ts` does it for schemas of all kinds.

const rounds = Number(process.env.BKP_TEST_RUNS ?? 5);
const wishesOfRound = 8;
const cluster = clusterOfFile('contrib');

type Rows = ReadonlyMap<string, readonly string[]>;

type History = {
  database: TestDatabase;
  client: pg.Client;
  random: Random;
  made: RandomTables;
  folder: string;
  bench: Bench;
  /** The rows of each table at the time of each backup. */
  taken: Map<BackupName, Rows>;
  log: string[];
};

type Wish = {
  point: BackupName;
  tables: readonly WantedTable[] | undefined;
  schema: string | undefined;
  mode: MergeMode | undefined;
  partial: boolean;
};

/** As bkp calls a table. */
const calledIn = (schema: string, name: string) => `${schema}.${/^[a-z_]\w*$/u.test(name) ? name : quoted(name)}`;

async function attempt({client, log}: Pick<History, 'client' | 'log'>, sql: string): Promise<void> {
  const result = await client.query(sql).catch(() => undefined);
  if (result !== undefined && result.rowCount !== 0) log.push(sql);
}

async function change(of: Pick<History, 'client' | 'log' | 'random' | 'made'>, least: number, most: number) {
  const {random, made} = of;
  for (let left = random.between(least, most); left > 0; left--) await attempt(of, anyChange(random, made.tables));
}

async function rowsNow({database, made}: Pick<History, 'database' | 'made'>): Promise<Rows> {
  const rows = new Map<string, readonly string[]>();
  for (const {name} of made.tables) rows.set(calledIn('public', name), await database.rows(calledIn('public', name)));
  return rows;
}

/** A full backup and up to three more, with changes of rows, columns and tables between them. */
async function live(of: Omit<History, 'taken' | 'bench' | 'made'>): Promise<History> {
  const {database, client, random, folder, log} = of;
  const made = randomTables(random);
  for (const sql of [types, ...made.create, ...made.references, ...made.triggers]) {
    log.push(sql);
    await client.query(sql);
  }
  const bench = inProcess({database: database.source, cluster: folder});
  await collectDatabase(bench);
  const history: History = {...of, made, bench, taken: new Map()};
  await change(history, 15, 60);
  const isTracked = made.tables.every(({key}) => key.length > 0);
  for (let at = 0, last = random.between(0, 3); at <= last; at++) {
    const type = at > 0 && isTracked && random.chance(0.8) ? 'incremental' : 'full';
    const rows = await rowsNow(history);
    const name = await bench.backup('c', type);
    log.push(`-- ${type} backup ${name}`);
    history.taken.set(name, rows);
    await change(history, 1, 25);
    if (random.chance(0.2)) await attempt(history, anyAlteration(random, made.tables));
  }
  return history;
}

type Target = {database: TestDatabase; what: string};

async function anyTarget({database, client, random, made, log}: History, {mode}: Wish): Promise<Target> {
  const places = ['empty', 'types', 'others', 'living', 'living', ...Array(mode === undefined ? 0 : 12).fill('living')];
  const what: string = random.pick(places);
  if (what === 'living') {
    for (const {name} of made.tables) {
      const table = quoted(name);
      const gone = random.pick([
        ...Array.from({length: 12}, () => ''),
        `DROP TABLE ${table} CASCADE`,
        `ALTER TABLE ${table} RENAME TO "was ${name.replaceAll('"', '')}"`,
      ]);
      if (gone !== '') await attempt({client, log}, gone);
    }
    return {database, what};
  }
  const other = await cluster().create();
  if (what === 'types') await other.exec(`${types}; DROP TABLE public.audit`);
  if (what === 'others') {
    const {name} = random.pick(made.tables);
    const table = calledIn('public', name);
    await other.exec(
      random.pick([
        `CREATE TABLE ${table} (other int)`,
        `CREATE VIEW ${table} AS SELECT 1 AS one`,
        `CREATE TYPE ${table} AS (x int)`,
        `CREATE SEQUENCE ${table}`,
        `CREATE TABLE other (x int CONSTRAINT ${quoted(`${name}_pkey`)} PRIMARY KEY)`,
        'CREATE TYPE public.mood AS ENUM ($$sad$$)'.replaceAll('$$', "'"),
        'CREATE TABLE moved_stays (x int); CREATE SCHEMA moved; CREATE TABLE moved.t0 (x int)',
        `CREATE FUNCTION ${calledIn('public', `change ${name}`)}() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      ]),
    );
  }
  return {database: other, what};
}

function anyWish({taken, random}: History): Wish {
  const [point, rows] = random.pick([...taken]);
  const mode = random.chance(0.4) ? random.pick(['merge', 'replace'] as const) : undefined;
  const wanted = [...rows.keys(), ...random.pick([[], [], [], ['public.audit']])].filter(() => random.chance(0.6));
  const isAll = wanted.length === 0 || random.chance(mode === undefined ? 0.3 : 0.1);
  let copies = 0;
  const as = () =>
    mode === undefined && random.chance(0.5) ? random.pick([`copy${copies++}`, `s9."Copy ${copies++}"`]) : undefined;
  return {
    ...{point, mode, partial: mode === undefined && random.chance(0.3)},
    schema: mode === undefined && random.chance(0.25) ? random.pick(['moved', 'new one']) : undefined,
    tables: isAll ? undefined : wanted.map((name) => ({name, as: as()})),
  };
}

/** All that a restore could change, without what only bkp's own tables have. */
async function stateOf({database}: Target) {
  const objects = await database.rows(
    `(SELECT n.nspname, c.relname, c.relkind, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^(pg_|_bkp$|information_schema)')`,
  );
  const others = await database.rows(
    `(SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_temp|^pg_toast_temp|^_bkp$'
      UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
      UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
      UNION ALL SELECT extname FROM pg_extension)`,
  );
  const tables = await database.rows(
    `(SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
      WHERE schemaname !~ '^(pg_|_bkp|information_schema)')`,
  );
  const names = tables.map((row) =>
    row.slice(1, -1).replace(/^"(.*)"$/su, (_, text: string) => text.replaceAll('""', '"')),
  );
  const rows: Record<string, readonly string[]> = {};
  for (const name of names) rows[name] = await database.rows(`ONLY ${name}`);
  return {objects, others, rows};
}

function restored({folder}: History, source: TableSource, wish: Wish & {dryRun?: boolean}): Promise<RestoreEnd> {
  const {point, tables, ...options} = wish;
  return countedRestore({database: source, cluster: folder}, 'c', source, point, tables, options);
}

const planned = ({bench}: History, source: TableSource, wish: Wish): Promise<RestorePlan | BkpError> =>
  bench.vault((vault) =>
    planRestore(vault, source, {collection: 'c', ...wish}, {details: true}).catch((error: BkpError) => error),
  );

/** Names of staging schemas have other numbers each time. */
const plain = (text: string) =>
  text
    .replaceAll(/_bkp_stage_\w+?_(\d+)/gu, '_bkp_stage_$1')
    // Tables are read at the same time, so that another lost chunk may be the first.
    .replaceAll(/chunk [0-9a-f]{64}/gu, 'chunk C')
    .replaceAll(/\d{5,}/gu, 'N');
const facts = (error: BkpError | undefined) =>
  error && {
    ...{code: error.code, message: plain(error.message), details: error.details?.map(plain)},
    next: error.next && plain(error.next),
  };

function losePack({folder, random}: History): () => void {
  const packs = globSync(join(folder, 'packs/**/*'), {withFileTypes: true}).filter((file) => file.isFile());
  const path = ((file) => join(file.parentPath, file.name))(random.pick(packs));
  const bytes = readFileSync(path);
  rmSync(path, {force: true});
  return () => writeFileSync(path, bytes);
}

async function asPlanned(history: History, target: Target, wish: Wish): Promise<'done' | 'refused'> {
  const {random, taken} = history;
  const {database} = target;
  const label = `${target.what} ${JSON.stringify(wish)}`;
  history.log.push(`-- ${label}`);
  const lost = wish.partial || random.chance(0.1) ? losePack(history) : () => {};
  try {
    const before = await stateOf(target);
    const plan = await planned(history, database.source, wish);
    const counted =
      wish.mode === undefined ? undefined : await restored(history, database.source, {...wish, dryRun: true});
    expect(await stateOf(target), label).toEqual(before);
    const real = await restored(history, database.source, wish);
    if (counted !== undefined) {
      expect(facts(counted.error), label).toEqual(facts(real.error));
      expect(counted.report?.merged, label).toEqual(real.report?.merged);
      expect(counted.notices.map(plain), label).toEqual(real.notices.map(plain));
    }
    if (real.error !== undefined) {
      const foreseen = plan instanceof Error ? plan : (plan.obstacle ?? counted?.error);
      expect(await stateOf(target), label).toEqual(before);
      // Which trace of a loss is found first differs.
      if (foreseen?.code !== 'OBJECT_MISSING')
        expect(facts(foreseen), `${label} ${String(real.error.cause)}`).toEqual(facts(real.error));
      return 'refused';
    }
    if (plan instanceof Error) throw new Error(`${label}: refused by the dry run alone`, {cause: plan});
    expect(facts(plan.obstacle), label).toBeUndefined();
    const report = real.report!;
    const gone = (report.missing ?? []).map(({name}) => name).sort();
    expect(plan.details!.missing.map(({name}) => name).sort(), label).toEqual(gone);
    for (const {name, rows, isExact} of plan.tables) {
      const got = report.published.find((table) => table.name === name)!.rows;
      if (isExact) expect(rows, `${name} ${label}`).toBe(got);
      else expect(rows, `${name} ${label}`).toBeGreaterThanOrEqual(got);
    }
    if (gone.length > 0) expect(real.fetched, label).toBeGreaterThanOrEqual(plan.details!.fetchBytes);
    else expect(real.fetched, label).toBe(plan.details!.fetchBytes);
    if (wish.mode !== undefined) return 'done';
    const after = await stateOf(target);
    const came = Object.keys(after.rows).filter((name) => before.rows[name] === undefined);
    const isPart = (name: string) => / part [01]"+$/u.test(name);
    expect(came.filter((name) => !isPart(name)).sort(), label).toEqual(plan.tables.map(({as}) => as).sort());
    for (const [name, rows] of Object.entries(before.rows)) expect(after.rows[name], `${name} ${label}`).toEqual(rows);
    for (const {name, as} of plan.tables) {
      if (name === 'public.audit') continue;
      expect(await database.rows(as), `${name} ${label}`).toEqual(taken.get(wish.point)!.get(name));
    }
    expectNotices(plan.details!.notices, real.notices, label);
    return 'done';
  } finally {
    lost();
  }
}

/** Which rows a foreign key to a living table lacks, only the restore finds out; the rest is the same. */
function expectNotices(said: readonly string[], happened: readonly string[], label: string): void {
  const compared = said.flatMap((text) => /^(.*) refers to .*: one of them is not restored/su.exec(text)?.[1] ?? []);
  const known = (text: string) => !/: one of them is not restored/u.test(text) && !/ cannot come: /u.test(text);
  const broken = (text: string) =>
    /^a foreign key of (.*) is not valid for all rows: .* violates foreign key/su.exec(text)?.[1] ??
    /^left out of (.*): .* violates foreign key/su.exec(text)?.[1];
  const found = happened.filter((text) => broken(text) === undefined);
  expect(said.filter(known).map(plain).sort(), label).toEqual(found.map(plain).sort());
  for (const text of happened) {
    const child = broken(text);
    if (child !== undefined) expect(compared, `${text} ${label}`).toContain(child);
  }
}

test('a dry run says what the restore of tables with rows then does', async () => {
  const ends = {done: 0, refused: 0};
  const failed: Error[] = [];
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const log: string[] = [];
    const database = await cluster().create();
    const client = await cluster().client(database.name);
    const folder = mkdtempSync(join(tmpdir(), 'bkp-dry-run-'));
    try {
      const random = new Random(seed);
      const history = await live({database, client, random, folder, log});
      for (let left = wishesOfRound; left > 0; left--) {
        await change(history, 0, 10);
        const wish = anyWish(history);
        const target = await anyTarget(history, wish);
        try {
          ends[await asPlanned(history, target, wish)]++;
        } finally {
          if (target.database !== database) await target.database.close();
        }
      }
    } catch (error) {
      const said = String((error as Error).message).slice(0, 6000);
      failed.push(new Error(`BKP_TEST_SEED=${seed} BKP_TEST_RUNS=1\n${log.join(';\n')}\n${said}`, {cause: error}));
    } finally {
      await client.end();
      await database.close();
      rmSync(folder, {recursive: true, force: true});
    }
  }
  if (process.env.BKP_TEST_RUNS !== undefined)
    console.log(
      ends,
      failed.map(({message, cause}) => `${message.split('\n')[0]} ${(cause as Error).message}`),
    );
  if (failed.length > 0) throw failed[0];
  if (rounds > 3) expect(Math.min(ends.done, ends.refused), JSON.stringify(ends)).toBeGreaterThan(0);
}, 3_000_000);
