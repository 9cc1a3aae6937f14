import {copyFileSync, existsSync, globSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {type BackupName, planRestore, type RestorePlan} from '../../src/collections/index.ts';
import type {BkpError} from '../../src/errors/index.ts';
import {type MergeMode, openSource, type WantedTable} from '../../src/sources/index.ts';
import {countedRestore, type RestoreEnd} from '../helpers/counted-restore.ts';
import {
  anyStep,
  type History,
  live,
  quoted,
  randomHistory,
  removeHistory,
  tablesIn,
} from '../helpers/random-history.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {seed as firstSeed} from '../seeds/seed.ts';
import {Random} from '../simulator/random.ts';
import {mergedModel} from '../sources/sqlite/merge-model.ts';

// What a dry run says of a restore is compared with what the restore then does: databases whose rows and schemas
// changed at random, into new files, into databases that have other or the same tables, under other names, with modes,
// and with packs missing.

const rounds = Number(process.env.BKP_TEST_RUNS ?? 6);

type Wish = {
  point: BackupName;
  target: string;
  tables: readonly WantedTable[] | undefined;
  mode: MergeMode | undefined;
  partial: boolean;
};

/** Views, triggers, foreign keys and full-text indexes, over tables that may be dropped later. */
function anyObject(random: Random, tables: readonly {name: string}[]): string[] {
  if (tables.length === 0) return anyStep(random, []);
  const [one, other] = [quoted(random.pick(tables).name), quoted(random.pick(tables).name)];
  const n = random.below(4);
  return random.pick([
    () => [`CREATE VIEW "view ${n}" AS SELECT a.k, b.l FROM ${one} AS a, ${other} AS b`],
    () => [`CREATE VIEW "view ${n}" AS SELECT * FROM "view ${random.below(4)}"`],
    () => [`DROP VIEW "view ${n}"`],
    () => [`CREATE TRIGGER "trigger ${n}" AFTER DELETE ON ${one} BEGIN DELETE FROM ${other} WHERE k = old.l; END`],
    () => [
      `CREATE TRIGGER "trigger ${n}" INSTEAD OF DELETE ON "view ${n}" BEGIN DELETE FROM ${other} WHERE k = old.k; END`,
    ],
    () => [`DROP TRIGGER "trigger ${n}"`],
    () => [
      `CREATE TABLE "child ${n}" (k INTEGER PRIMARY KEY, l REFERENCES ${one} ON DELETE CASCADE, pad)`,
      `INSERT OR IGNORE INTO "child ${n}"
         SELECT rowid, ${random.pick(['k', 'l', "'nowhere'"])}, 1 FROM ${one} LIMIT 30`,
    ],
    () => [
      'CREATE VIRTUAL TABLE words USING fts5(body)',
      `INSERT INTO words SELECT 'word ' || value FROM (SELECT dice(50) AS value UNION SELECT dice(50))`,
    ],
    () => ['DROP TABLE words'],
  ])();
}

const anyTarget = (history: History, random: Random): string => {
  const path = history.file('.db');
  const from = random.pick(['nothing', 'nothing', 'now', 'then', 'others'] as const);
  if (from === 'now') copyFileSync(history.database, path);
  if (from === 'then') copyFileSync(random.pick([...history.copies.values()]), path);
  if (from === 'others') {
    const db = new DatabaseSync(path);
    db.exec(
      'CREATE TABLE alone (k INTEGER PRIMARY KEY); CREATE TABLE "orders i1" (k); CREATE VIEW "view 1" AS SELECT 1',
    );
    db.close();
  }
  return path;
};

function anyWish(history: History, random: Random): Wish {
  const [point, copy] = random.pick([...history.copies]);
  const mode = random.chance(0.4) ? random.pick(['merge', 'replace'] as const) : undefined;
  const target = anyTarget(history, random);
  const names = [...tablesIn(copy).map(({name}) => name), ...random.pick([[], [], ['words', 'view 1', 'view 2']])];
  const wanted = names.filter(() => random.chance(0.5));
  const isAll = wanted.length === 0 || random.chance(mode === undefined ? 0.4 : 0.2);
  const as = () =>
    mode === undefined && random.chance(0.5) ? `${random.pick(['copy', 'élan "x"'])} ${random.below(9)}` : undefined;
  return {
    ...{point, target, mode, partial: mode === undefined && random.chance(0.3)},
    tables: isAll ? undefined : wanted.map((name) => ({name, as: as()})),
  };
}

const end = ({database, cluster}: History, {point, target, tables, ...options}: Wish & {dryRun?: boolean}) =>
  countedRestore({database, cluster}, 'c', target, point, tables, options);

const planned = async (history: History, {target, point, ...wish}: Wish): Promise<RestorePlan | BkpError> =>
  history.bench.vault(async (vault) =>
    planRestore(
      vault,
      await openSource({scheme: 'sqlite', path: target}),
      {collection: 'c', point, ...wish},
      {
        details: true,
      },
    ).catch((error: BkpError) => error),
  );

const facts = (error: BkpError | undefined) =>
  error && {code: error.code, message: error.message, details: error.details, next: error.next};

type Schema = ReadonlyMap<string, {type: string; on: string}>;

/** Everything but what belongs to bkp and to SQLite. */
function schemaOf(path: string): Schema {
  if (!existsSync(path)) return new Map();
  const db = new DatabaseSync(path);
  try {
    return new Map(
      db
        .prepare(
          `SELECT type, name, tbl_name FROM sqlite_schema
           WHERE name NOT LIKE 'sqlite#_%' ESCAPE '#' AND name NOT LIKE '#_bkp#_%' ESCAPE '#'`,
        )
        .all()
        .map((row) => [String(row.name), {type: String(row.type), on: String(row.tbl_name)}]),
    );
  } finally {
    db.close();
  }
}

/** Files beside the target, and what is in it. */
const stateOf = (path: string) => ({
  files: readdirSync(join(path, '..')).filter((name) => join(path, '..', name).startsWith(path)),
  image: existsSync(path) ? imageOf(path) : undefined,
});

async function withHistory(use: (history: History, random: Random) => Promise<void>): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const random = new Random(seed);
    const history = randomHistory(random);
    try {
      await live(history, random, random.between(2, 5), anyObject);
      await use(history, random);
    } catch (error) {
      const said = String((error as Error).message).slice(0, 6000);
      throw new Error(`BKP_TEST_SEED=${seed} BKP_TEST_RUNS=1\n${history.log.join('\n')}\n${said}`, {cause: error});
    } finally {
      removeHistory(history);
    }
  }
}

test('a dry run says what the restore then does', async () => {
  const ends = {done: 0, refused: 0};
  await withHistory(async (history, random) => {
    for (let left = 8; left > 0; left--) {
      const wish = anyWish(history, random);
      const restored = await asPlanned(history, wish, random);
      ends[restored]++;
      rmSync(wish.target, {force: true});
    }
  });
  expect(ends.done).toBeGreaterThan(0);
}, 3_000_000);

async function asPlanned(history: History, wish: Wish, random: Random): Promise<'done' | 'refused'> {
  const label = JSON.stringify(wish);
  const lost = wish.partial || random.chance(0.1) ? losePack(history, random) : () => {};
  try {
    const before = stateOf(wish.target);
    const schema = schemaOf(wish.target);
    const plan = await planned(history, wish);
    const counted = wish.mode === undefined ? undefined : await end(history, {...wish, dryRun: true});
    expect(stateOf(wish.target), label).toEqual(before);
    const living = history.file('.db');
    if (existsSync(wish.target)) copyFileSync(wish.target, living);
    const real = await end(history, wish);
    if (counted !== undefined) {
      expect(facts(counted.error), label).toEqual(facts(real.error));
      expect(counted.report?.merged, label).toEqual(real.report?.merged);
      expect(counted.notices.filter(isOfBoth), label).toEqual(real.notices);
    }
    if (real.error !== undefined) {
      expect(stateOf(wish.target), label).toEqual(before);
      const foreseen = plan instanceof Error ? plan : (plan.obstacle ?? counted?.error);
      // The listing of a store, and what is read of it, find another trace of the same loss. It is said before what is
      // in the way.
      if (foreseen?.code !== 'OBJECT_MISSING') expect(facts(foreseen), label).toEqual(facts(real.error));
      return 'refused';
    }
    if (plan instanceof Error) throw new Error(`${label}: refused by the dry run alone`, {cause: plan});
    expect(plan.obstacle, label).toBeUndefined();
    const {report, notices, fetched} = real;
    const gone = (report!.missing ?? []).map(({name}) => name).sort();
    expect(plan.details!.missing.map(({name}) => name).sort(), label).toEqual(gone);
    expect(plan.tables.map(({as}) => as).sort(), label).toEqual(
      report!.published.map((table) => newName(plan, table.name)).sort(),
    );
    for (const {name, rows, isExact} of plan.tables) {
      const got = report!.published.find((table) => table.name === name)!.rows;
      if (isExact) expect(rows, `${name} ${label}`).toBe(got);
      else expect(rows, `${name} ${label}`).toBeGreaterThanOrEqual(got);
    }
    const copy = history.copies.get(wish.point)!;
    if (wish.mode !== undefined) {
      expectMerged(plan, wish.mode, real, {target: wish.target, living, copy, label});
      return 'done';
    }
    expectContent(plan, wish.target, copy, label);
    expectNew(plan, {before: schema, after: schemaOf(wish.target), label});
    expectNotices(plan.details!.notices, notices, label);
    // Before a damaged backup is restored in part, what is damaged in it must be found. A lost index is built again.
    if (gone.length > 0 || notices.some((text) => /so it is built from the rows/.test(text)))
      expect(fetched, label).toBeGreaterThanOrEqual(plan.details!.fetchBytes);
    else expect(fetched, label).toBe(plan.details!.fetchBytes);
    return 'done';
  } finally {
    lost();
  }
}

const isOfBoth = (notice: string) => !notice.startsWith('the database is not in WAL mode: writers wait');

const newName = ({tables}: RestorePlan, name: string) => tables.find((table) => table.name === name)?.as ?? name;

/** Changed rows are those of a model, which JavaScript computes from copies of the database. */
function expectMerged(
  {tables}: RestorePlan,
  mode: MergeMode,
  {report, notices}: RestoreEnd,
  {target, living, copy, label}: {target: string; living: string; copy: string; label: string},
): void {
  const names = tables.map(({name}) => name);
  const model = mergedModel(living, copy, {tables: names, others: [], mode});
  const now = mergedModel(target, copy, {tables: names, others: [], mode: 'merge'}).rowsNow();
  expect(now, label).toEqual(model.expected);
  for (const {name, examples: _, ...counts} of report!.merged!) {
    const isSwapped = notices.some((notice) => notice.startsWith(`${name} comes with the schema`));
    if (!isSwapped && hasKey(copy, name)) expect(counts, `${name} ${label}`).toEqual(model.counts(name));
  }
  const others = tablesIn(living).filter(({name}) => !names.includes(name));
  const rows = (path: string) => others.map(({name}) => imageOf(path).tables[name]);
  expect(rows(target), label).toEqual(rows(living));
  expect(imageOf(target).integrity, label).toEqual(['ok']);
}

function hasKey(path: string, table: string): boolean {
  const db = new DatabaseSync(path);
  try {
    return db.prepare('SELECT 1 FROM pragma_table_xinfo(?) WHERE pk > 0').get(table) !== undefined;
  } finally {
    db.close();
  }
}

function expectContent({tables}: RestorePlan, target: string, copy: string, label: string): void {
  const [image, wanted] = [imageOf(target), imageOf(copy)];
  expect(image.integrity, label).toEqual(['ok']);
  for (const {name, as} of tables) expect(image.tables[as], `${name} ${label}`).toEqual(wanted.tables[name]);
}

/** The objects that came are those that the plan names. */
function expectNew(plan: RestorePlan, {before, after, label}: {before: Schema; after: Schema; label: string}): void {
  const came = [...after].filter(([name]) => !before.has(name));
  const named = (types: string[]) =>
    came
      .filter(([, {type}]) => types.includes(type))
      .map(([name]) => name)
      .sort();
  const said = plan.details!.notices.join('\n');
  const isOut = (what: string) => said.includes(`${what} is left out`);
  expect(named(['table', 'view']), label).toEqual(
    [...plan.tables.map(({as}) => as), ...plan.objects.filter((name) => !isOut(`view ${name}`))].sort(),
  );
  for (const {as, brings} of plan.tables) {
    const of = (type: string) => came.filter(([, object]) => object.type === type && object.on === as).length;
    const number = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(brings)?.[1] ?? 0);
    const refused = said.split(` of ${as} is left out`).length - 1;
    expect({indexes: of('index'), triggers: of('trigger')}, `${as} ${label} ${said}`).toEqual({
      indexes: number('index'),
      triggers: number('trigger') - refused,
    });
  }
}

/** What the rows of a foreign key lack, only the restore finds out; the rest is the same, word for word. */
function expectNotices(said: readonly string[], happened: readonly string[], label: string): void {
  const compared = said.flatMap((text) => /^(.*) refers to (.*): one of them/s.exec(text) ?? []);
  const known = (text: string) => !/: one of them is not restored/.test(text) && !/ cannot come: /.test(text);
  const found = happened.filter((text) => !/ refers? to rows of /.test(text));
  expect([...said].filter(known).sort(), label).toEqual([...found].sort());
  for (const text of happened.filter((one) => !found.includes(one))) {
    const [, child, parent] = /^\d+ rows? of (.*) refers? to rows of (.*) that do not exist/s.exec(text)!;
    expect(compared, label).toContain(`${child} refers to ${parent}: one of them`);
  }
}

function losePack({cluster}: History, random: Random): () => void {
  const packs = globSync(join(cluster, 'packs/**/*'), {withFileTypes: true}).filter((file) => file.isFile());
  const path = ((file) => join(file.parentPath, file.name))(random.pick(packs));
  const bytes = readFileSync(path);
  rmSync(path, {force: true});
  return () => writeFileSync(path, bytes);
}
