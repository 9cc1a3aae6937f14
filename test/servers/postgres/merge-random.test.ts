import type pg from 'pg';
import {expect, test} from 'vitest';
import type {BkpError} from '../../../src/errors/index.ts';
import {seed as firstSeed} from '../../seeds/seed.ts';
import {Random} from '../../simulator/random.ts';
import {type Backup, merge, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {compared} from './increments.ts';
import {asTexts, mergedModel, type Rows, rowsOf} from './merge-model.ts';
import {anyAlteration, anyChange, quoted, type RandomTables, randomTables, types} from './random-tables.ts';

// MODE merge and replace against a model: tables, rows and foreign keys at random, which change at random after the
// backup. JavaScript computes what must be in every table, and whether empty tables take these rows says whether the
// server may refuse them.

const rounds = Number(process.env.BKP_TEST_RUNS ?? 12);
const mergesOfRound = 4;
const cluster = clusterOfFile('contrib');
/** That of the increments that are compared. */
const owner = 'collection-1';

type End = 'done' | 'refused' | 'exchanged' | 'rewritten';

type History = {
  database: TestDatabase;
  client: pg.Client;
  random: Random;
  made: RandomTables;
  /** As bkp has them, in the order of the tables. */
  names: readonly string[];
  /** Whether there are increments: a table without a key has none. */
  isTracked: boolean;
  backup: Backup;
  /** The rows at the time of the backup. */
  kept: Rows;
  /** Changes of tables since then. */
  alterations: string[];
  log: string[];
};

test('a merged and a replaced table equal the model, whatever happened since the backup', async () => {
  const ends: Record<End, number> = {done: 0, refused: 0, exchanged: 0, rewritten: 0};
  const failed: Error[] = [];
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const log: string[] = [];
    const database = await cluster().create();
    const client = await cluster().client(database.name);
    try {
      const history = await begin({database, client, random: new Random(seed), log});
      for (let left = mergesOfRound; left > 0; left--) ends[await changeAndMerge(history)]++;
      // Change tracking saw what the merges did.
      if (history.isTracked) expect((await compared(database.source, history.backup)).lost).toEqual([]);
    } catch (error) {
      const said = String((error as Error).message).slice(0, 6000);
      failed.push(new Error(`BKP_TEST_SEED=${seed} BKP_TEST_RUNS=1\n${log.join(';\n')}\n${said}`, {cause: error}));
    } finally {
      await client.end();
      await database.close();
    }
  }
  if (process.env.BKP_TEST_RUNS !== undefined) {
    console.log(
      ends,
      failed.map(({message, cause}) => `${message.split('\n')[0]} ${(cause as Error).message}`),
    );
  }
  if (failed.length > 0) throw failed[0];
  if (rounds > 8) expect(ends.done).toBeGreaterThan(ends.refused);
}, 3_000_000);

async function attempt({client, log}: Pick<History, 'client' | 'log'>, sql: string): Promise<boolean> {
  const result = await client.query(sql).catch(() => undefined);
  if (result !== undefined && result.rowCount !== 0) log.push(sql);
  return result !== undefined;
}

async function change(history: Pick<History, 'client' | 'log' | 'random' | 'made'>, least: number, most: number) {
  const {random, made} = history;
  for (let left = random.between(least, most); left > 0; left--) await attempt(history, anyChange(random, made.tables));
}

async function begin(at: Pick<History, 'database' | 'client' | 'random' | 'log'>): Promise<History> {
  const {database, client, random, log} = at;
  const {source} = database;
  const made = randomTables(random);
  const {tables} = made;
  for (const sql of [types, ...made.create, ...made.references, ...made.triggers]) {
    log.push(sql);
    await client.query(sql);
  }
  await change({...at, made}, 8, 40);
  const names = tables.map(({name}) => `public.${/^\w+$/u.test(name) ? name : quoted(name)}`);
  const isTracked = tables.every(({key}) => key.length > 0);
  let backup = await takeFull(source, {tables: names, ...(isTracked ? {track: {owner}} : {})});
  if (isTracked && random.chance(0.6)) {
    await change({...at, made}, 1, 15);
    backup = await takeIncrement(source, owner, backup);
  }
  log.push('-- the backup');
  return {...at, made, names, isTracked, backup, kept: await rowsOf(client, tables), alterations: []};
}

/** What a user reads of an error. */
const facts = ({code, message, details, next}: BkpError) => ({code, message, details, next});

async function changeAndMerge(history: History): Promise<End> {
  const {database, client, random, made, names, isTracked, backup, kept, alterations, log} = history;
  const {tables} = made;
  await change(history, 1, 25);
  if (random.chance(0.15)) {
    const sql = anyAlteration(random, tables);
    if (await attempt(history, sql)) alterations.push(sql);
    await change(history, 1, 5);
  }
  const mode = isTracked ? random.pick(['merge', 'replace'] as const) : 'replace';
  const chosen = names.filter(() => random.chance(0.7));
  const wanted = chosen.length === 0 ? names : chosen;
  log.push(`-- ${mode} ${wanted.join(', ')}`);
  const named = tables.filter((_, at) => wanted.includes(names[at]!)).map(({name}) => name);
  const now = await rowsOf(client, tables);
  const model = await mergedModel(client, made, {kept, now, named, mode, alterations});
  const state = async () => ({
    rows: asTexts(await rowsOf(client, tables)),
    audit: await database.rows('audit'),
    sequences: await database.rows('(SELECT sequencename, last_value FROM pg_sequences)'),
  });
  const before = await state();
  const told: [string[], string[]] = [[], []];
  const part = only(backup, wanted);
  const run = (dryRun: boolean) =>
    merge(database.source, part, mode, {dryRun, notice: (text) => told[dryRun ? 0 : 1].push(text)}).catch(
      (error: BkpError) => error,
    );
  const counted = await run(true);
  expect(await state()).toEqual(before);
  const merged = await run(false);
  expect(told[0]).toEqual(told[1]);
  if (merged instanceof Error) {
    log.push(`-- refused: ${merged.message}: ${String(merged.cause)}`);
    expect(facts(counted as BkpError)).toEqual(facts(merged));
    expect(merged.code).toBe('PRECONDITION');
    expect(await state()).toEqual(before);
    if (model.expected === undefined || model.isCascading) return 'refused';
    if (model.isRewriting && /would update .* too$/u.test(merged.message)) return 'rewritten';
    expect(model.isExchanging, merged.message).toBe(true);
    return 'exchanged';
  }
  const {rows, audit} = await state();
  expect(model.expected).toBeDefined();
  expect(model.isCascading).toBe(false);
  expect(rows).toEqual(asTexts(model.expected!));
  expect(audit).toEqual(before.audit);
  expect(counted).toEqual(merged);
  const counts = tables.flatMap(({name}, at) =>
    named.includes(name) ? [{name: names[at], ...model.counts(name)}] : [],
  );
  expect(merged).toEqual(counts);
  return 'done';
}

function only(backup: Backup, names: readonly string[]): Backup {
  const isWanted = (name: string) => names.includes(name);
  return {
    ...backup,
    schemas: backup.schemas.filter(({name}) => isWanted(name)),
    layers: Object.fromEntries(Object.entries(backup.layers).filter(([name]) => isWanted(name))),
    contents: new Map([...backup.contents].filter(([name]) => isWanted(name))),
  };
}
