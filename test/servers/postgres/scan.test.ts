import {expect, onTestFinished, test, vi} from 'vitest';
import type {Snapshot, TableSource} from '../../../src/sources/index.ts';
import {Connection} from '../../../src/sources/postgres/connection/connection.ts';
import {seed} from '../../seeds/seed.ts';
import {type Backup, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {compared, differences, retried} from './increments.ts';
import {rangesSchema, rangesTables, writeToRanges} from './ranges.ts';
import {faultsOf, ledgerSchema, ledgerTables, replaceBatch, Writers} from './writers.ts';

// It has ICU.
const cluster = clusterOfFile('contrib');
const owner = 'collection-1';
const seconds = Number(process.env.BKP_WRITERS_SECONDS ?? 20);

async function databaseWith(schema: string): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(schema);
  return database;
}

function scanned(database: TestDatabase): TableSource {
  const source = database.with({tracking: 'scan'});
  onTestFinished(() => source.close());
  return source;
}

const fullOf = (source: TableSource, tables: readonly string[], previous?: Backup) =>
  retried(() => takeFull(source, {tables, track: {owner}, ...(previous === undefined ? {} : {previous})}));

/** Conditions of the ranges that are read from now on, and the statements that count some. */
function watchReads(): {ranges: string[]; counted: string[]} {
  const found = {ranges: [] as string[], counted: [] as string[]};
  const {copyOut, rows} = Connection.prototype;
  vi.spyOn(Connection.prototype, 'copyOut').mockImplementation(function (this: Connection, sql, ...more) {
    if (sql.includes(' WHERE ')) found.ranges.push(sql);
    return copyOut.call(this, sql, ...more);
  });
  vi.spyOn(Connection.prototype, 'rows').mockImplementation(function (this: Connection, sql, ...more) {
    if (sql.includes('bool_and(age(xmin)')) found.counted.push(sql);
    return rows.call(this, sql, ...more);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return found;
}

const layersOf = (backup: Backup) => Object.values(backup.layers).map((layers) => layers.map(({kind}) => kind));
const linesIn = (segments: readonly {bytes: Uint8Array}[]) =>
  segments.flatMap(({bytes}) => Buffer.from(bytes).toString().split('\n').slice(0, -1));
function deltaOf(backup: Backup, table: string): {keys: readonly string[]; rows: readonly string[]} {
  const [, delta] = backup.layers[table]!;
  if (delta?.kind !== 'delta') throw new Error(`no delta of ${table}`);
  return {keys: linesIn(delta.keys).toSorted(), rows: linesIn(delta.rows).toSorted()};
}

test('an increment by reading has the rows that changed and the keys that are gone, and nothing else', async () => {
  const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g`);
  const source = scanned(database);
  const full = await fullOf(source, ['public.t']);
  await database.exec(`UPDATE t SET v = 'y' WHERE id = 7; DELETE FROM t WHERE id IN (1, 100); INSERT INTO t VALUES
    (0, E'tab\\tline\\nback\\\\'), (101, NULL); UPDATE t SET id = 200 WHERE id = 50; UPDATE t SET v = v WHERE id = 8`);
  const first = await takeIncrement(source, owner, full);
  expect(deltaOf(first, 'public.t')).toEqual({
    keys: ['0', '1', '100', '101', '200', '50', '7'],
    rows: ['0\ttab\\tline\\nback\\\\', '101\t\\N', '200\tx', '7\ty'],
  });
  const same = await takeIncrement(source, owner, first);
  expect(same.layers['public.t']).toBe(first.layers['public.t']);
  await database.exec(`UPDATE t SET v = 'x' WHERE id = 7; INSERT INTO t VALUES (1, 'x')`);
  const back = await takeIncrement(source, owner, same);
  expect(deltaOf(back, 'public.t').keys).toEqual(['0', '100', '101', '200', '50']);
  for (const backup of [first, back]) {
    const target = await databaseWith('SELECT 1');
    await restore(target.source, backup);
    if (backup === back) expect(await target.rows('t')).toEqual(await database.rows('t'));
  }
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
});

const keys: Readonly<Record<string, {columns: string; key: string; row: (at: number) => string}>> = {
  'a composite': {
    columns: 'a text, b int, c date',
    key: 'c, a, b',
    row: (at) => `'k' || ${at} % 7, ${at}, date '2020-01-01' + ${at} % 5`,
  },
  'text in a linguistic order': {
    columns: 'a text COLLATE "en-x-icu"',
    key: 'a',
    row: (at) => `(ARRAY['Ä', 'a', 'Z', 'z', '-', 'é', E'\\t'])[1 + ${at} % 7] || ${at}`,
  },
  'text whose equality ignores case': {
    columns: 'a text COLLATE blind',
    key: 'a',
    row: (at) => `'Key' || ${at}`,
  },
  'a uuid': {columns: 'a uuid', key: 'a', row: (at) => `md5(${at}::text)::uuid`},
  'a numeric with scales': {
    columns: 'a numeric',
    key: 'a',
    row: (at) => `${at} + CASE ${at} % 2 WHEN 0 THEN 0.50 ELSE 0 END`,
  },
  'a domain': {columns: 'a positive', key: 'a', row: (at) => `${at} + 1`},
  'a timestamp with an infinity': {
    columns: 'a timestamptz',
    key: 'a',
    row: (at) => `CASE ${at} WHEN 3 THEN 'infinity' ELSE timestamptz '2020-01-01' + interval '1 minute' * ${at} END`,
  },
  bytes: {columns: 'a bytea', key: 'a', row: (at) => `decode(md5(${at}::text), 'hex')`},
};
test.each(Object.entries(keys))('rows with the key of %s are compared', async (_, {columns, key, row}) => {
  const database = await databaseWith(`
    CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
    CREATE TABLE t (v int, ${columns}, PRIMARY KEY (${key})); INSERT INTO t SELECT g, ${rowAt(row, 'g')}
      FROM generate_series(0, 0) g; INSERT INTO t SELECT g, ${rowAt(row, 'g')} FROM generate_series(1, 40) g`);
  const source = scanned(database);
  let backup = await fullOf(source, ['public.t']);
  const changes = [
    'UPDATE t SET v = -v WHERE v % 4 = 0',
    'DELETE FROM t WHERE v % 3 = 0',
    `INSERT INTO t SELECT g, ${rowAt(row, 'g')} FROM generate_series(41, 60) g`,
    ...(columns.includes('blind') ? ['UPDATE t SET a = upper(a) WHERE v % 5 = 1'] : []),
    ...(columns.includes('numeric') ? ['UPDATE t SET a = a + 0.000'] : []),
    'VACUUM FULL t',
    'TRUNCATE t',
    `INSERT INTO t SELECT g, ${rowAt(row, 'g')} FROM generate_series(1, 5) g`,
  ];
  for (const change of changes) {
    await database.exec(change);
    const taken = await compared(source, backup);
    expect(taken.lost, change).toEqual([]);
    backup = taken.backup;
    if (change.startsWith('VACUUM') || change === changes.at(-1)) {
      const target = await databaseWith('SELECT 1');
      await restore(target.source, backup);
      expect(await target.rows('t'), change).toEqual(await database.rows('t'));
    }
  }
  expect(layersOf(backup)).toEqual([['base', 'delta']]);
});

const rowAt = (row: (at: number) => string, name: string) => row(987_654).replaceAll('987654', name);

test('ranges that have not changed are not read, and are if the server may have another history', async () => {
  const database = await databaseWith(rangesSchema);
  const reads = watchReads();
  const source = scanned(database);
  const base = await fullOf(source, rangesTables);
  const all = rangesTables.reduce((sum, table) => {
    const [layer] = base.layers[table]!;
    return sum + (layer?.kind === 'base' && layer.form !== 'records' ? layer.segments.length : 0);
  }, 0);
  let parent = base;
  /** How many ranges the next increment reads. */
  const next = async (change: string) => {
    for (const statement of change.split(';;')) await database.exec(statement);
    reads.ranges.length = 0;
    let read = 0;
    const check = async (snapshot: Snapshot, layers: Backup['layers']) => {
      read = reads.ranges.length;
      expect(await differences(snapshot, layers), change).toEqual([]);
    };
    parent = await takeIncrement(source, owner, parent, {check});
    return read;
  };
  expect(await next('SELECT 1')).toBe(0);
  expect(await next('UPDATE by_key SET n = 5 WHERE id = 4000')).toBe(1);
  expect(await next('DELETE FROM by_key WHERE id <= 100; DELETE FROM pieces WHERE id > 7990')).toBe(3);
  expect(await next("INSERT INTO by_block VALUES (point(9000, 0), 1, 'new')")).toBe(4);
  expect(deltaOf(parent, 'public.pieces')).toMatchObject({keys: expect.arrayContaining(['8000']), rows: []});
  expect(await next('VACUUM FULL by_key;; VACUUM FREEZE by_block')).toBe(4);
  // As a crash of another backend does: the server recovers, and its process stays.
  const started = await database.rows('(SELECT pg_postmaster_start_time())');
  const client = await cluster().client(database.name);
  const {rows} = await client.query<{pid: number}>('SELECT pg_backend_pid() AS pid');
  process.kill(rows[0]!.pid, 'SIGKILL');
  await database.forget();
  await expect
    .poll(() => database.rows('(SELECT 1)').catch(() => database.forget()), {timeout: 30_000})
    .toEqual(['(1)']);
  expect(await database.rows('(SELECT pg_postmaster_start_time())')).toEqual(started);
  expect(await next('SELECT 1')).toBeGreaterThanOrEqual(all);
});

/** @param work called while the writers write */
async function beside(database: TestDatabase, work: () => Promise<void>): Promise<void> {
  console.log(`seed ${seed}: BKP_TEST_SEED=${seed} repeats the writers`);
  const stopped = new AbortController();
  const writers = writeToRanges(cluster(), database.name, {seed, signal: stopped.signal});
  try {
    await work();
  } finally {
    stopped.abort();
  }
  expect(await writers).toEqual([]);
}

test('no increment by reading loses a change of concurrent transactions, whatever they do', async () => {
  console.log(`seed ${seed}: BKP_TEST_SEED=${seed} repeats the writers`);
  const database = await databaseWith(`${ledgerSchema} ${replaceBatch(3)}`);
  const source = scanned(database);
  const writers = new Writers(cluster(), database.name, {count: 8, seed});
  onTestFinished(() => writers.stop());
  const tables = ledgerTables.map((table) => `public.${table}`);
  let backup = await fullOf(source, tables);
  const end = Date.now() + seconds * 1000;
  let increments = 0;
  while (Date.now() < end) {
    const taken = await compared(source, backup);
    increments += 1;
    expect(taken.lost, `increment ${increments}`).toEqual([]);
    backup = taken.backup;
  }
  await writers.stop();
  expect(writers.errors).toEqual([]);
  const target = await databaseWith('SELECT 1');
  await restore(target.source, backup);
  const client = await cluster().client(target.name);
  expect(await faultsOf(client)).toEqual([]);
  await client.end();
  console.log(`${increments} increments, ${writers.transactions} transactions, ${JSON.stringify(writers.done)}`);
});

test('nor if it reads only the ranges that may have changed', async () => {
  const database = await databaseWith(rangesSchema);
  const source = scanned(database);
  const reads = watchReads();
  let increments = 0;
  let deltas = 0;
  await beside(database, async () => {
    let backup = await fullOf(source, rangesTables);
    const end = Date.now() + seconds * 1000;
    while (Date.now() < end) {
      const taken = await compared(source, backup);
      increments += 1;
      expect(taken.lost, `increment ${increments}`).toEqual([]);
      deltas += layersOf(taken.backup).filter((kinds) => kinds.includes('delta')).length;
      // Some follow one that is older than the newest, and now and then a full backup takes over what it can.
      if (increments % 3 !== 2) backup = taken.backup;
      if (increments % 13 === 0) backup = await fullOf(source, rangesTables, backup);
    }
  });
  console.log(`${increments} increments, ${deltas} deltas, ${reads.counted.length} counts`);
  expect(deltas).toBeGreaterThan(0);
  expect(reads.counted.length).toBeGreaterThan(0);
});

/** What looks right in finding unchanged ranges and is not. */
const mistakes: Readonly<Record<string, {pattern: RegExp; instead: string; loses: readonly string[]}>> = {
  'ranges with as many rows taken for unchanged': {
    pattern: /bool_and\(age\(xmin\) > age\('\d+'::xid8::xid\)\)/gu,
    instead: 'true',
    loses: ['public.by_key', 'public.pieces'],
  },
  'transactions that ran beside the base taken for old': {
    pattern: /SELECT pg_current_snapshot\(\)$/gu,
    instead: "SELECT pg_snapshot_xmax(pg_current_snapshot()) || ':'",
    loses: ['public.by_key'],
  },
};

/** Increments after a transaction that was open beside the base, and after an update that leaves as many rows. */
async function lostInWorstMoments(database: TestDatabase): Promise<readonly string[]> {
  const source = scanned(database);
  const client = await cluster().client(database.name);
  await client.query('BEGIN; UPDATE by_key SET n = n + 1 WHERE id = 4000');
  // A younger transaction ends before the base, so that the open one is not the newest.
  await database.exec('CREATE TABLE later (id int)');
  const base = await fullOf(source, rangesTables);
  await client.query('COMMIT');
  await client.end();
  const lost = [...(await compared(source, base)).lost];
  await database.exec('UPDATE pieces SET n = n + 1 WHERE id = 10');
  lost.push(...(await compared(source, base)).lost);
  return lost;
}

test.each([['no mistake', undefined], ...Object.entries(mistakes)] as const)(
  'changes in the worst moments are found, and lost by a mistake: %s',
  async (_, mistake) => {
    const database = await databaseWith(rangesSchema);
    let mistaken = 0;
    const {rows} = Connection.prototype;
    vi.spyOn(Connection.prototype, 'rows').mockImplementation(function (this: Connection, sql, ...more) {
      const changed = mistake === undefined ? sql : sql.replaceAll(mistake.pattern, mistake.instead);
      if (changed !== sql) mistaken += 1;
      return rows.call(this, changed, ...more);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const lost = await lostInWorstMoments(database);
    expect(mistaken > 0, 'a statement has the mistake').toBe(mistake !== undefined);
    expect(new Set(lost)).toEqual(new Set(mistake?.loses));
  },
);

test('the chain continues when changes are found in another way from now on', async () => {
  const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g; CREATE TABLE kinds (id int PRIMARY KEY, of regclass)`);
  const [reading, logging] = [scanned(database), database.source];
  const tables = ['public.t', 'public.kinds'];
  let backup = await fullOf(reading, tables);
  const tracking = async () => (await database.source.tracking()).map(({owner: one}) => one);
  for (const [at, source] of [logging, logging, reading, reading, logging, reading].entries()) {
    await database.exec(`UPDATE t SET v = v || ${at} WHERE id % 7 = ${at}; DELETE FROM t WHERE id = ${at + 50}`);
    const taken = await compared(source, backup);
    expect(taken.lost, `increment ${at}`).toEqual([]);
    backup = taken.backup;
    expect(await tracking(), `increment ${at}`).toEqual(source === logging ? [owner] : []);
  }
  expect(layersOf(backup)[0]).toEqual(['base', 'delta']);
  // Values that change without being written.
  await database.exec(`INSERT INTO kinds VALUES (1, 't')`);
  backup = await takeIncrement(reading, owner, backup);
  await database.exec('ALTER TABLE t RENAME TO u; CREATE TABLE t (id int PRIMARY KEY, v text)');
  const {lost} = await compared(reading, backup);
  expect(lost).toEqual([]);
});

test('an increment after a restore continues the chain, and a table with other columns begins again', async () => {
  const database = await databaseWith(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g`);
  const source = scanned(database);
  let backup = await fullOf(source, ['public.t']);
  await database.exec('DELETE FROM t WHERE id > 90');
  backup = await takeIncrement(source, owner, backup);
  await database.exec('DROP TABLE t');
  await restore(source, backup, {owner, mark: backup.mark!});
  expect(await database.rows("(SELECT nspname FROM pg_namespace WHERE nspname = '_bkp')")).toEqual([]);
  await database.exec(`UPDATE t SET v = 'y' WHERE id = 3`);
  backup = await takeIncrement(source, owner, backup);
  expect(deltaOf(backup, 'public.t').rows).toEqual(['3\ty']);
  await database.exec('ALTER TABLE t ADD w int DEFAULT 5');
  const notices: string[] = [];
  backup = await takeIncrement(source, owner, backup, {notice: (text) => notices.push(text)});
  expect(layersOf(backup)).toEqual([['base']]);
  expect(notices).toEqual([
    expect.stringContaining('its columns, its key, their types or its partitions are not those'),
  ]);
  await database.exec('UPDATE t SET w = 6');
  await database.exec('INSERT INTO t SELECT g FROM generate_series(1000, 3000) g');
  backup = await takeIncrement(source, owner, backup, {notice: (text) => notices.push(text)});
  expect(layersOf(backup)).toEqual([['base']]);
  expect(notices.at(-1)).toContain('much of it has changed');
});

test('a large table of which much has changed gets a new base, and the tables after it are read as usual', async () => {
  const database = await databaseWith(`CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY);
    INSERT INTO a SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 40000) g; INSERT INTO b VALUES (1)`);
  const source = scanned(database);
  const tables = ['public.a', 'public.b'];
  const full = await fullOf(source, tables);
  await database.exec("UPDATE a SET v = 'new' || v WHERE id % 3 = 0; INSERT INTO b VALUES (2)");
  const next = await takeIncrement(source, owner, full);
  expect(layersOf(next)).toEqual([['base'], ['base', 'delta']]);
  const target = await databaseWith('');
  await restore(target.source, next);
  for (const table of tables) expect(await target.rows(table)).toEqual(await database.rows(table));
});

test.each([
  ['few', 'id = 7', ['base', 'delta']],
  ['all', 'true', ['base']],
])('a table with rows of megabytes of which %s have changed comes back', async (_, changed, layers) => {
  const database = await databaseWith(`CREATE TABLE a (id int PRIMARY KEY, v text);
    INSERT INTO a SELECT g, repeat(md5(g::text), 98304) FROM generate_series(1, 40) g`);
  const source = scanned(database);
  const full = await fullOf(source, ['public.a']);
  await database.exec(`UPDATE a SET v = v || 'more' WHERE ${changed}`);
  const next = await takeIncrement(source, owner, full);
  expect(layersOf(next)).toEqual([layers]);
  const target = await databaseWith('');
  await restore(target.source, next);
  const sums = 'SELECT id, md5(v) AS v FROM a';
  expect(await target.rows(`(${sums})`)).toEqual(await database.rows(`(${sums})`));
});
