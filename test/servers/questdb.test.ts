import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import type {CheckpointSource} from '../../src/sources/index.ts';
import {openQuestDbSource, openQuestDbTarget} from '../../src/sources/questdb/index.ts';
import {settleMicros} from '../../src/sources/questdb/listing/stamp.ts';
import {copyDatabase, freezeOptions, hashOf} from './questdb-copy.ts';
import {QuestDbServer} from './questdb-server.ts';

let server: QuestDbServer;
let source: CheckpointSource;
const restored: QuestDbServer[] = [];
const folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-restored-'));
let copies = 0;
const emptyRoot = () => join(folder, String(++copies));

beforeAll(async () => {
  server = await QuestDbServer.start();
  source = openQuestDbSource({root: server.root, http: server.url});
});
afterEach(async () => {
  for (const one of restored.splice(0)) await one.remove();
  expect(await server.sql('SELECT in_progress FROM checkpoint_status()')).toEqual([[false]]);
});
afterAll(async () => {
  await server.remove();
  rmSync(folder, {recursive: true, force: true});
});

async function startRestored(root: string): Promise<QuestDbServer> {
  const started = await QuestDbServer.start({root});
  restored.push(started);
  await started.applied();
  return started;
}

/** Writes rows 1, 2, 3, … to both tables until it is stopped; each batch is acknowledged before the next. */
function startWriter(tables: {wal: string; plain: string}) {
  let isStopped = false;
  const acknowledged = {wal: 0, plain: 0};
  const batch = 40;
  const insert = async (kind: 'wal' | 'plain') => {
    while (!isStopped) {
      const first = acknowledged[kind];
      // A fifth of the rows is hours late, and goes into closed partitions.
      const late = kind === 'wal' ? `CASE WHEN (x + ${first}) % 5 = 0 THEN 50000000000L ELSE 0L END` : '0L';
      await server.sql(
        `INSERT INTO ${tables[kind]} SELECT (1704067200000000L + (x + ${first}) * 30000000L - ${late})::TIMESTAMP,
           x + ${first}, ('s' || (x + ${first}) % 7)::SYMBOL, 'note ' || (x + ${first}), (x + ${first}) * 0.5
         FROM long_sequence(${batch})`,
      );
      acknowledged[kind] += batch;
    }
  };
  const change = async () => {
    for (let round = 0; !isStopped; round++) {
      await server.sql(`UPDATE ${tables.wal} SET price = ${round} WHERE n % 97 = 0`);
      await pause(150);
    }
  };
  const done = Promise.all([insert('wal'), insert('plain'), change()]);
  return {
    acknowledged,
    stop: async () => {
      isStopped = true;
      await done;
    },
  };
}

/** Checks that all numbers from 1 on exist, by scan and by index. @returns the largest */
async function expectNoHole(database: QuestDbServer, table: string): Promise<number> {
  const [row] = await database.sql(
    'SELECT count(), count_distinct(n), min(n), max(n), sum(length(note)), sum(CASE WHEN note = ' +
      `'note ' || n THEN 0 ELSE 1 END) FROM ${table}`,
  );
  const [count, distinct, smallest, largest, , wrong] = row as number[];
  expect({distinct, smallest, largest, wrong}).toEqual({distinct: count, smallest: 1, largest: count, wrong: 0});
  const [[byScan], [byIndex]] = (await Promise.all([
    database.sql(`SELECT count() FROM ${table} WHERE s::VARCHAR = 's3'`).then((rows) => rows[0]),
    database.sql(`SELECT count() FROM ${table} WHERE s = 's3'`).then((rows) => rows[0]),
  ])) as [number[], number[]];
  expect(byIndex).toBe(byScan);
  return largest!;
}

describe('a copy while rows are written', () => {
  test('has every row up to its point in time, in every round', async () => {
    const columns = 'ts TIMESTAMP, n LONG, s SYMBOL INDEX, note VARCHAR, price DOUBLE';
    await server.sql(`CREATE TABLE busy (${columns}) TIMESTAMP(ts) PARTITION BY DAY WAL`);
    await server.sql(`CREATE TABLE direct (${columns}) TIMESTAMP(ts) PARTITION BY HOUR BYPASS WAL`);
    await server.sql('CREATE TABLE shrinking (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY HOUR WAL');
    await server.sql(
      `INSERT INTO shrinking SELECT timestamp_sequence('2024-01-01', 60000000L), x FROM long_sequence(1200)`,
    );
    const writer = startWriter({wal: 'busy', plain: 'direct'});
    const roots: {root: string; before: {wal: number; plain: number}}[] = [];
    try {
      await pause(1500);
      for (let round = 0; round < 3; round++) {
        const before = {...writer.acknowledged};
        const root = emptyRoot();
        const copying = copyDatabase(source, root);
        await server.sql(`ALTER TABLE shrinking DROP PARTITION LIST '2024-01-01T0${round}'`);
        await copying;
        roots.push({root, before});
      }
    } finally {
      await writer.stop();
    }
    for (const {root, before} of roots) {
      const copy = await startRestored(root);
      expect(await expectNoHole(copy, 'busy')).toBeGreaterThanOrEqual(before.wal);
      expect(await expectNoHole(copy, 'direct')).toBeGreaterThanOrEqual(before.plain);
      const [[rows]] = (await copy.sql('SELECT count() FROM shrinking')) as [[number]];
      expect([1200, 1140, 1080, 1020]).toContain(rows);
      await copy.remove();
    }
  });

  test('has nothing that was committed after its time, in any of many tables', async () => {
    const many = Array.from({length: 40}, (_, n) => `many_${n}`);
    for (const table of many) {
      await server.sql(`CREATE TABLE ${table} (ts TIMESTAMP, at TIMESTAMP) TIMESTAMP(ts) PARTITION BY DAY WAL`);
    }
    let isStopped = false;
    // Some tables are the last ones that a checkpoint copies. `now()` is read before the commit.
    const written = [0, 13, 26, 39];
    const writing = written.map(async (n) => {
      while (!isStopped) await server.sql(`INSERT INTO many_${n} SELECT now(), now()`);
    });
    const root = emptyRoot();
    let takenAtMicros: number;
    try {
      await pause(300);
      takenAtMicros = (await copyDatabase(source, root)).takenAtMicros;
    } finally {
      isStopped = true;
      await Promise.all(writing);
    }
    const copy = await startRestored(root);
    for (const n of written) {
      const [[newest]] = (await copy.sql(`SELECT max(at)::LONG FROM many_${n}`)) as [[number]];
      expect(newest, `many_${n}`).toBeLessThanOrEqual(takenAtMicros);
    }
  });

  test('ends before a RENAME of a table without WAL, which the server lets wait', async () => {
    await server.sql('CREATE TABLE named (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL');
    await server.sql("INSERT INTO named VALUES ('2024-01-01', 7)");
    const frozen = await source.freeze(freezeOptions);
    let isRenamed = false;
    const renaming = server.sql('RENAME TABLE named TO renamed').then(() => {
      isRenamed = true;
    });
    const root = emptyRoot();
    try {
      await pause(1000);
      const target = openQuestDbTarget({root});
      await target.prepare(frozen.facts);
      for await (const file of frozen.files()) await target.write(file, frozen.read(file));
      await frozen.confirm();
      await target.publish({signal: freezeOptions.signal});
      expect(isRenamed).toBe(false);
    } finally {
      await frozen.release();
    }
    await renaming;
    expect(await server.sql('SELECT n FROM renamed')).toEqual([[7]]);
    const copy = await startRestored(root);
    expect(await copy.sql('SELECT n FROM named')).toEqual([[7]]);
  });

  test('does not skip a changed file because of its stamp', async () => {
    await server.sql(
      'CREATE TABLE slow (ts TIMESTAMP, n LONG, note VARCHAR, s SYMBOL) TIMESTAMP(ts) PARTITION BY DAY WAL',
    );
    await server.sql('CREATE TABLE slow_direct (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL');
    const known = new Map<string, {stamp: string | undefined; times: string; hash: string}>();
    const found = {skipped: 0, changedBehindTheSameTimes: 0};
    let rows = 0;
    const insert = async () => {
      for (const table of ['slow', 'slow_direct']) {
        const more = table === 'slow' ? `, 'row ${rows}', 'x'` : '';
        await server.sql(`INSERT INTO ${table} VALUES (${1_704_067_200_000_000 + rows * 1_000_000}, ${rows}${more})`);
      }
      rows++;
      await server.applied();
    };
    for (let round = 0; round < 12; round++) {
      // Into pages that are dirty since the last read, so the file's times do not change.
      await insert();
      // In most rounds the files become old enough to get a stamp.
      if (round % 3 !== 0) await pause(settleMicros / 1000 + 100);
      const frozen = await source.freeze(freezeOptions);
      try {
        // After the sync of the checkpoint and before the copy: dirties pages into which the next rows are written.
        if (round % 2 === 0) await insert();
        for await (const file of frozen.files()) {
          const {size, mtimeMs, ino} = statSync(join(server.root, file.path));
          const times = [size, mtimeMs, ino].join(' ');
          const hash = await hashOf(frozen, file);
          const before = known.get(file.path);
          if (before !== undefined && file.stamp !== undefined && before.stamp === file.stamp) {
            found.skipped++;
            expect({path: file.path, round, hash}).toEqual({path: file.path, round, hash: before.hash});
          } else if (before?.times === times && before.hash !== hash) found.changedBehindTheSameTimes++;
          known.set(file.path, {stamp: file.stamp, times, hash});
        }
        await frozen.confirm();
      } finally {
        await frozen.release();
      }
    }
    expect(found.skipped).toBeGreaterThan(0);
    // Files that rsync's rule would have skipped. The number depends on when the kernel writes pages back, so it is
    // not asserted.
    console.info(`files that changed with size, mtime and inode the same: ${found.changedBehindTheSameTimes}`);
  });
});

describe('the stamp of a file that the server overwrites in place', () => {
  test('changes without the times of the file', async () => {
    // So that parts are split off small partitions, too. They are joined again at once, in the same files.
    const splitting = await QuestDbServer.start({env: {QDB_CAIRO_O3_PARTITION_SPLIT_MIN_SIZE: '100'}});
    restored.push(splitting);
    const splits = openQuestDbSource({root: splitting.root, http: splitting.url});
    await splitting.sql(
      'CREATE TABLE p (ts TIMESTAMP, n LONG, s SYMBOL) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts)',
    );
    await splitting.sql(
      "INSERT INTO p SELECT timestamp_sequence('2024-01-01', 1000000L), x, 'a' FROM long_sequence(1000)",
    );
    await splitting.sql("INSERT INTO p VALUES ('2024-01-02', 5000, 'b')");
    const state = async () => {
      await splitting.applied();
      await pause(settleMicros / 1000 + 100);
      const frozen = await splits.freeze(freezeOptions);
      try {
        const facts = new Map<string, {version: string | undefined; ino: number; bytes: string}>();
        for await (const file of frozen.files()) {
          const name = /db\/p~\d+\/(2024-01-01\/n\.d|s\.o)$/.exec(file.path)?.[1];
          if (name === undefined) continue;
          const {ino} = statSync(join(splitting.root, file.path));
          const version = file.stamp?.split('.').at(-1);
          facts.set(name, {version, ino, bytes: await hashOf(frozen, file)});
        }
        return facts;
      } finally {
        await frozen.release();
      }
    };
    const change = async (name: string, statement: string) => {
      const before = (await state()).get(name)!;
      await splitting.sql(statement);
      const after = (await state()).get(name)!;
      expect(after.ino).toBe(before.ino);
      expect(after.bytes).not.toBe(before.bytes);
      if (before.version !== undefined) expect(after.version).not.toBe(before.version);
    };
    const late = "SELECT timestamp_sequence('2024-01-01T00:15:00', 1000000L), -x, 'a' FROM long_sequence(10)";
    await change('2024-01-01/n.d', `INSERT INTO p ${late}`);
    await change('s.o', "INSERT INTO p VALUES ('2024-01-02T01', 6000, NULL)");
  });
});

test('rows that the server overwrites during a backup fail it, and late rows that it keeps apart do not', async () => {
  const splitting = await QuestDbServer.start({env: {QDB_CAIRO_O3_PARTITION_SPLIT_MIN_SIZE: '100'}});
  restored.push(splitting);
  const splits = openQuestDbSource({root: splitting.root, http: splitting.url});
  await splitting.sql('CREATE TABLE p (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL');
  await splitting.sql("INSERT INTO p SELECT timestamp_sequence('2024-01-01', 1000000L), x FROM long_sequence(1000)");
  await splitting.applied();
  /** Whether a backup that reads files before and after the statements is good, and one that reads them before only. */
  const during = async (...statements: string[]) => {
    const frozen = await splits.freeze(freezeOptions);
    try {
      const files = [];
      for await (const file of frozen.files()) files.push(file);
      const rows = files.find(({path}) => /^db\/p~\d+\/2024-01-01(\.\d+)?\/n\.d$/.test(path))!;
      const before = await hashOf(frozen, rows);
      for (const statement of statements) {
        await splitting.sql(statement);
        await splitting.applied();
      }
      const confirmed = () =>
        frozen.confirm().then(
          () => 'good',
          (error: unknown) => error,
        );
      expect(await confirmed(), 'what was read before').toBe('good');
      const isSame = (await hashOf(frozen, rows)) === before;
      return {isSame, outcome: await confirmed()};
    } finally {
      await frozen.release();
    }
  };
  const late = (second: string) =>
    `INSERT INTO p SELECT timestamp_sequence('2024-01-01T00:${second}.5', 1000000L), -x FROM long_sequence(5)`;
  const inOrder = "INSERT INTO p SELECT dateadd('s', 1, max(ts)), 0 FROM p";
  expect(await during(inOrder)).toEqual({isSame: true, outcome: 'good'});
  // The partition was written after the checkpoint, and has fewer rows afterwards.
  expect(await during(inOrder, late('15:00'))).toEqual({isSame: true, outcome: 'good'});
  await splitting.sql('ALTER TABLE p SQUASH PARTITIONS');
  const lastBeforeSplit = "INSERT INTO p VALUES ('2024-01-01T00:14:30', -1000)";
  expect(await during(late('14:30'), lastBeforeSplit)).toEqual({
    isSame: false,
    outcome: expect.objectContaining({
      code: 'SOURCE_UNAVAILABLE',
      retryable: true,
      message: expect.stringMatching(/^rows of partition 2024-01-01\S* of table p may have been overwritten/),
    }),
  });
  // Overwritten, and then rewritten under another name.
  await splitting.sql('ALTER TABLE p SQUASH PARTITIONS');
  const squash = 'ALTER TABLE p SQUASH PARTITIONS';
  const second = "INSERT INTO p VALUES ('2024-01-01T00:13:30', -1000)";
  expect(await during(late('13:30'), second, squash)).toMatchObject({
    isSame: false,
    outcome: {code: 'SOURCE_UNAVAILABLE'},
  });
  // Overwritten, and then dropped: its files stay until the checkpoint is released.
  await splitting.sql('ALTER TABLE p SQUASH PARTITIONS');
  expect(
    await during(late('12:30'), "INSERT INTO p VALUES ('2024-01-01T00:12:30', -1000)", 'DROP TABLE p'),
  ).toMatchObject({
    isSame: false,
    outcome: {code: 'SOURCE_UNAVAILABLE'},
  });
});

describe('a checkpoint', () => {
  test('of a killed process is reported, and released', async () => {
    const startedAtMicros = Date.now() * 1000 - 1_000_000;
    const holder = spawn(process.execPath, [join(import.meta.dirname, 'questdb-holder.ts'), server.root, server.url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect(await source.heldCheckpoint()).toMatchObject({hold: 'operation killed/1'});
    await expect(source.freeze(freezeOptions)).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      cause: 'operation operation killed/1 of bkp created it',
    });
    await source.releaseLeftover(Date.now() * 1000);
    expect(await source.heldCheckpoint(), 'one that is older than the operation').toBeDefined();
    await source.releaseLeftover(startedAtMicros);
    expect(await source.heldCheckpoint()).toBeUndefined();
    await source.releaseLeftover(startedAtMicros);
  });

  test('of another program is reported, and stays', async () => {
    await server.sql('CHECKPOINT CREATE');
    await expect(source.freeze(freezeOptions)).rejects.toMatchObject({
      code: 'SOURCE_LOCKED',
      message: expect.stringMatching(/held since \d{4}-\d\d-\d\dT/),
    });
    await source.releaseLeftover(0);
    const held = await source.heldCheckpoint();
    expect(held).toBeDefined();
    expect(held).not.toHaveProperty('hold');
    await server.sql('CHECKPOINT RELEASE');
  });

  test('that was not held all the time is not confirmed, and its successor stays', async () => {
    const frozen = await source.freeze(freezeOptions);
    await frozen.confirm();
    await server.sql('CHECKPOINT RELEASE');
    await expect(frozen.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    await server.sql('CHECKPOINT CREATE');
    await expect(frozen.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    await frozen.release();
    await frozen.release();
    expect(await source.heldCheckpoint()).toBeDefined();
    await server.sql('CHECKPOINT RELEASE');
  });

  test('is released when the root belongs to another server', async () => {
    const other = await QuestDbServer.start();
    restored.push(other);
    await expect(openQuestDbSource({root: other.root, http: server.url}).freeze(freezeOptions)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('is not the root of the QuestDB'),
      cause: expect.stringContaining(server.root),
    });
  });

  test('is gone with a killed server, and a new one can be created', async () => {
    const frozen = await source.freeze(freezeOptions);
    await server.kill();
    await server.start();
    await expect(frozen.confirm()).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE'});
    await frozen.release();
    await copyDatabase(source, emptyRoot());
  });
});

describe('a restored database', () => {
  test('has the same values, in every kind of table and column', async () => {
    for (const statement of variety) await server.sql(statement);
    await server.applied();
    await server.sql(
      "INSERT INTO kinds (ts, id, note) SELECT timestamp_sequence('2024-01-01T05:00:30', " +
        "60000000L), x + 10000, 'late' FROM long_sequence(40)",
    );
    await server.sql('UPDATE kinds SET d = 0 WHERE id = 5');
    await server.sql('ALTER TABLE kinds ADD COLUMN added INT');
    await server.sql("ALTER TABLE hourly CONVERT PARTITION TO PARQUET LIST '2024-01-01T00'");
    await server.sql("ALTER TABLE hourly DROP PARTITION LIST '2024-01-01T01'");
    await server.applied();
    await server.sql("INSERT INTO kinds (ts, id, added) VALUES ('2024-01-03T23:00', 77, 7), ('2024-01-05', 78, 8)");
    await server.applied();
    const root = emptyRoot();
    const facts = await copyDatabase(source, root);
    expect(facts).toMatchObject({product: 'questdb', version: '9.3.4'});
    expect(facts.tables).toContainEqual({name: 'flat', rows: 100});
    const copy = await startRestored(root);
    for (const table of compared) expect(await copy.csv(table), table).toBe(await server.csv(table));
    await copy.sql("INSERT INTO kinds (ts, id) VALUES ('2024-01-06', 79000)");
    await copy.applied();
    expect(await copy.sql('SELECT count() FROM kinds WHERE id = 79000')).toEqual([[1]]);
    const id = openQuestDbSource({root}).dataId();
    expect(await id).toBe(await source.dataId());
  });

  test('has a single table if only that was restored', async () => {
    const root = emptyRoot();
    await copyDatabase(source, root, ['kinds']);
    const copy = await startRestored(root);
    expect(await copy.csv('kinds')).toBe(await server.csv('kinds'));
    const names = (await copy.sql('SELECT table_name FROM tables()')).flat();
    expect(names).toContain('kinds');
    expect(names).not.toContain('flat');
    // It is a separate database.
    expect(await openQuestDbSource({root}).dataId()).not.toBe(await source.dataId());
  });

  test('can come from a stopped server, and offline=true refuses a running one', async () => {
    const stopped = openQuestDbSource({root: server.root, offline: true});
    await expect(stopped.freeze(freezeOptions)).rejects.toMatchObject({code: 'PRECONDITION'});
    // Sequentially: the server allows at most two concurrent exports.
    const before: string[] = [];
    for (const table of compared) before.push(await server.csv(table));
    await server.end();
    const root = emptyRoot();
    try {
      await expect(source.freeze(freezeOptions)).rejects.toMatchObject({code: 'SOURCE_UNAVAILABLE', retryable: true});
      await copyDatabase(stopped, root);
      const frozen = await stopped.freeze(freezeOptions);
      await server.start();
      await expect(frozen.confirm()).rejects.toMatchObject({code: 'PRECONDITION'});
    } finally {
      await server.start().catch(() => undefined);
    }
    const copy = await startRestored(root);
    for (const [at, table] of compared.entries()) expect(await copy.csv(table), table).toBe(before[at]);
  });

  test('can come from a server that requires credentials', async () => {
    const locked = await QuestDbServer.start({env: {QDB_HTTP_USER: 'joe', QDB_HTTP_PASSWORD: 'secret-word'}});
    restored.push(locked);
    const at = {root: locked.root, http: locked.url, user: 'joe'};
    for (const wrong of [
      {root: at.root, http: at.http},
      {...at, password: 'wrong'},
    ]) {
      await expect(openQuestDbSource(wrong).freeze(freezeOptions)).rejects.toMatchObject({
        message: expect.stringContaining('does not accept these credentials'),
      });
    }
    const right = openQuestDbSource({...at, password: 'secret-word'});
    expect(right.description).not.toContain('secret-word');
    const frozen = await right.freeze(freezeOptions);
    await frozen.release();
  });
});

const compared = ['kinds', 'direct_kinds', 'flat', 'hourly', 'weekly', 'monthly', 'yearly', 'nanos', 'by_hour', 'few'];
const values = `x id, rnd_symbol('A','B','C') s, rnd_double() d, rnd_varchar(1,40,1) note, rnd_str(3,8,1) text,
  rnd_boolean() b, rnd_byte() by, rnd_short() sh, rnd_char() ch, rnd_int() i, rnd_float() f, rnd_date() dt,
    rnd_uuid4() u,
  rnd_ipv4() ip, rnd_long256() l, rnd_bin(10,20,1) bin, rnd_geohash(20) g, 1.25m m`;
const times = (step: string) => `timestamp_sequence('2024-01-01', ${step}) ts`;
const variety = [
  `CREATE TABLE kinds AS (SELECT ${times('60000000L')}, ${values} FROM long_sequence(4000)) ` +
    'TIMESTAMP(ts) PARTITION BY DAY WAL',
  `CREATE TABLE direct_kinds AS (SELECT ${times('60000000L')}, ${values} FROM long_sequence(2000)) ` +
    'TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL',
  'CREATE TABLE flat AS (SELECT x, rnd_str(3,8,1) text FROM long_sequence(100))',
  `CREATE TABLE hourly AS (SELECT ${times('60000000L')}, x FROM long_sequence(300)) TIMESTAMP(ts) ` +
    'PARTITION BY HOUR WAL',
  `CREATE TABLE weekly AS (SELECT ${times('3600000000L')}, x, ARRAY[1.0, x] a FROM ` +
    'long_sequence(600)) TIMESTAMP(ts) PARTITION BY WEEK WAL',
  `CREATE TABLE monthly AS (SELECT ${times('3600000000L')}, x FROM long_sequence(1600)) ` +
    'TIMESTAMP(ts) PARTITION BY MONTH WAL',
  `CREATE TABLE yearly AS (SELECT ${times('36000000000L')}, x FROM long_sequence(1600)) ` +
    'TIMESTAMP(ts) PARTITION BY YEAR WAL',
  `CREATE TABLE nanos AS (SELECT timestamp_sequence('2024-01-01', 1000000L)::TIMESTAMP_NS ts, x ` +
    'FROM long_sequence(30)) TIMESTAMP(ts) PARTITION BY HOUR WAL',
  'CREATE MATERIALIZED VIEW by_hour AS (SELECT ts, s, max(d) d FROM kinds SAMPLE BY 1h) PARTITION BY DAY',
  'CREATE VIEW few AS (SELECT * FROM kinds WHERE id < 10)',
  'CREATE TABLE no_rows (ts TIMESTAMP, s SYMBOL) TIMESTAMP(ts) PARTITION BY DAY WAL',
];
