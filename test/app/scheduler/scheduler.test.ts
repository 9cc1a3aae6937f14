import {renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {Scheduler} from '../../../src/app/scheduler/scheduler.ts';
import {execute} from '../../../src/app/statements/execute.ts';
import {runScheduleNext} from '../../../src/commands/schedule/next.ts';
import {runWorker} from '../../../src/commands/worker/index.ts';
import type {Settings} from '../../../src/config/index.ts';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {type Operation, openJournal} from '../../../src/ops/index.ts';
import {parse} from '../../../src/sql/index.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {backupsOf, type Desk, openDesk} from '../../helpers/desk.ts';
import {ExecStandIn} from '../../sources/questdb/exec-stand-in.ts';
import {writeRecordedRoot} from '../../sources/questdb/recorded-root.ts';

// The scheduler with a clock that the test sets and workers that end immediately.

type Changeable = {-readonly [Field in keyof Settings]?: Settings[Field]};

type Bench = {
  desk: Desk;
  /** Settings of the profile besides source and cluster; changes take effect at the next reload. */
  profile: Changeable;
  deps: TestDeps;
  scheduler: Scheduler;
  lines: string[];
  sql: (statement: string) => Promise<void>;
  /** Sets the clock to a time of January 2026, or to any time. */
  setTime: (time: string) => void;
  /** Sets the clock and runs a round; returns the lines that the scheduler has printed since. */
  at: (time: string) => Promise<string[]>;
  /** What workers do; default: their work. */
  worker: {start: (operation: Operation) => Promise<void>};
};

async function openBench({database}: {database?: string} = {}): Promise<Bench> {
  const desk = openDesk();
  const base = testDeps(desk.home);
  onTestFinished(() => base.close());
  const profile: Changeable = {};
  const clock = {ms: Date.parse('2026-01-01T12:00:00Z')};
  const journal = openJournal({
    ...base.home,
    file: base.home.journalFile,
    nowMicros: () => clock.ms * 1000,
    processes: systemProcesses,
  });
  onTestFinished(() => journal.close());
  const worker = {start: async ({number}: Operation) => runWorker(deps, {number})};
  const deps: TestDeps = {
    ...base,
    nowMicros: () => clock.ms * 1000,
    settings: async () => {
      const source = `sqlite::path=${database ?? desk.database}`;
      return {...(await base.settings()), source, cluster: desk.cluster, ...profile};
    },
    journal: async () => journal,
    startWorker: (operation) => worker.start(operation),
    again: async () => deps,
  };
  const lines: string[] = [];
  const scheduler = new Scheduler({deps, start: execute, profiles: [], tell: (line) => lines.push(line)});
  const setTime = (time: string) => {
    clock.ms = Date.parse(/^\d{4}-/.test(time) ? time : `2026-01-${time}Z`);
  };
  return {
    desk,
    profile,
    deps,
    scheduler,
    lines,
    worker,
    sql: async (statement) => void (await execute(deps, parse(statement)[0]!)),
    setTime,
    at: async (time) => {
      setTime(time);
      const before = lines.length;
      await scheduler.round();
      return lines.slice(before);
    },
  };
}

const create = (settings: string) =>
  `CREATE BACKUP COLLECTION c (TABLE orders, TABLE products) WITH (STORAGE='cluster', ` +
  `INCREMENTAL_BACKUP_ENABLED='true', ${settings})`;
const nightly = create("SCHEDULE='0 2 * * *', SCHEDULE_FULL='0 2 * * 0'");

test('the scheduler takes a full backup, increments, and a full one on Sunday, and reports each end', async () => {
  const {desk, scheduler, lines, sql, at} = await openBench();
  await scheduler.reload();
  expect(lines).toEqual(['nothing is scheduled: no collection has a SCHEDULE, and backup.schedule.cron is not set']);
  await sql(nightly);
  await scheduler.reload();
  expect(lines.at(-1)).toBe('schedules: c');
  expect(await at('02T01:59:00')).toEqual([]);
  expect(await at('02T02:00:00')).toEqual(['c: fullbackup/1 started']);
  expect(await at('02T02:00:05')).toEqual(['fullbackup/1 ended: SUCCESS']);
  expect(await at('02T09:00:00')).toEqual([]);
  expect(await at('03T02:00:00')).toEqual(['c: incbackup/2 started']);
  expect(await at('04T02:00:00')).toEqual(['incbackup/2 ended: SUCCESS', 'c: fullbackup/3 started']);
  expect(await backupsOf(desk)).toEqual([
    '20260102020000Z_full',
    '20260103020000Z_incremental',
    '20260104020000Z_full',
  ]);
});

test('a backup named by a clock that was ten years ahead stops neither full backups nor cleanups', async () => {
  const {desk, scheduler, sql, at, setTime, deps} = await openBench();
  await sql(create("SCHEDULE='0 2 * * *', SCHEDULE_FULL='0 2 * * 0', KEEP_WITHIN='2 days'"));
  await scheduler.reload();
  await at('02T02:00:00');
  setTime('2036-01-03T00:00:00Z');
  await sql('BACKUP c INCREMENTAL');
  const taken: string[] = [];
  for (let day = 3; day <= 18; day++) {
    const lines = await at(`${String(day).padStart(2, '0')}T02:00:00`);
    taken.push(...lines.flatMap((line) => /^c: (full|inc)backup/.exec(line)?.[1] ?? []));
  }
  // 4, 11 and 18 January are Sundays.
  const week = ['full', 'inc', 'inc', 'inc', 'inc', 'inc', 'inc'];
  expect(taken).toEqual(['inc', ...week, ...week, 'full']);
  const {operations} = await (await deps.journal()).list({kinds: ['cleanup'], page: 1, pageSize: 100});
  expect(operations.map(({state}) => state.name === 'done' && state.outcome.status)).toContain('SUCCESS');
  // The one of 2036 is newer than all, by its time.
  expect(await backupsOf(desk)).toEqual([
    '20360103000000Z_incremental',
    '20360103000015Z_incremental',
    '20360103000016Z_full',
  ]);
});

test('a clock that was set back by years hides no new collection', async () => {
  const {scheduler, sql, at, setTime} = await openBench();
  setTime('2036-01-01T00:00:00Z');
  await scheduler.reload();
  await scheduler.round();
  setTime('02T01:00:00');
  await sql(nightly);
  expect(await at('02T01:00:30')).toEqual(['c is scheduled now']);
});

test('a collection that was created by a clock that was ahead gets its backups', async () => {
  const {scheduler, sql, at, setTime} = await openBench();
  setTime('2036-01-01T00:00:00Z');
  await sql(nightly);
  setTime('02T01:00:00');
  await scheduler.reload();
  expect(await at('02T01:00:00')).toEqual(['c: fullbackup/1 started']);
  expect(await at('02T01:30:00')).toEqual(['fullbackup/1 ended: SUCCESS']);
  expect(await at('02T02:00:00')).toEqual(['c: incbackup/2 started']);
});

test('a round returns how long nothing is due', async () => {
  const {scheduler, sql, at, deps} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T01:59:50');
  expect(await scheduler.round()).toBe(10_000);
  await at('02T01:00:00');
  expect(await scheduler.round()).toBe(30_000);
  expect(deps.err()).toBe('');
});

test('a missed run is made up for once and reported', async () => {
  const {scheduler, sql, at} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T02:00:00');
  expect(await at('10T08:30:00')).toEqual([
    'fullbackup/1 ended: SUCCESS',
    'c: the run of 2026-01-03T02:00:00Z was missed and is made up for now',
    'c: fullbackup/2 started',
  ]);
  expect(await at('10T08:30:10')).toEqual(['fullbackup/2 ended: SUCCESS']);
  expect(await at('10T20:00:00')).toEqual([]);
});

test('a new scheduler finds in store and journal what was done', async () => {
  const {deps, scheduler, sql, at} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T02:00:00');
  const lines: string[] = [];
  const next = new Scheduler({deps, start: execute, profiles: [], tell: (line) => lines.push(line)});
  await next.reload();
  await next.round();
  expect(lines).toEqual(['schedules: c']);
});

test('a run that would overlap is skipped, reported, and not taken later', async () => {
  const {scheduler, sql, at, worker} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  const held: Operation[] = [];
  const work = worker.start;
  await at('02T02:00:00');
  worker.start = async (operation) => void held.push(operation);
  await at('03T01:59:30');
  await sql('BACKUP c INCREMENTAL');
  expect(await at('03T02:00:00')).toEqual([
    expect.stringMatching(/^c: the run of 2026-01-03T02:00:00Z is skipped: operation incbackup\/2 .* still running/),
  ]);
  expect(await at('03T02:00:10')).toEqual([]);
  await work(held[0]!);
  worker.start = work;
  expect(await at('03T02:01:00')).toEqual([]);
  expect(await at('04T02:00:00')).toEqual(['c: fullbackup/3 started']);
});

test('after a broken chain a full backup is taken immediately', async () => {
  const {desk, scheduler, sql, at} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T02:00:00');
  // Only the worker can detect that the database does not know the backup before.
  desk.exec('DROP TABLE _bkp_marks');
  expect(await at('03T02:00:00')).toContain('c: incbackup/2 started');
  expect(await at('03T02:00:02')).toEqual([
    'incbackup/2 ended: SUCCESS',
    expect.stringMatching(/^incbackup\/2: a full backup was taken instead of an increment: /),
  ]);
  expect(await backupsOf(desk)).toEqual([...Array(2).fill(expect.stringMatching(/_full$/))]);
});

test('an increment whose base is damaged is followed by a full backup', async () => {
  const {desk, scheduler, sql, at} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T02:00:00');
  const pack = desk.storedKeys().find((key) => key.startsWith('packs/'))!;
  rmSync(join(desk.cluster, pack));
  desk.exec("UPDATE orders SET txt = 'new'");
  expect(await at('03T02:00:00')).toContain('c: incbackup/2 started');
  expect(await at('03T02:00:02')).toEqual([
    'incbackup/2 ended: SUCCESS',
    expect.stringMatching(/^incbackup\/2: a full backup was taken instead of an increment: /),
  ]);
  expect((await backupsOf(desk)).at(-1)).toBe('20260103020000Z_full');
});

test('a refused run is reported and retried at the next time; other collections are not delayed', async () => {
  const {desk, scheduler, sql, at} = await openBench();
  await sql(nightly);
  await sql("CREATE BACKUP COLLECTION d (TABLE absent) WITH (SCHEDULE='0 2 * * *')");
  await sql("CREATE BACKUP COLLECTION e (TABLE orders) WITH (SCHEDULE='0 2 * * *')");
  await scheduler.reload();
  expect(await at('02T02:00:00')).toEqual([
    'c: fullbackup/1 started',
    expect.stringMatching(/^d: the run of 2026-01-02T02:00:00Z was refused: table \/Root\/absent does not exist/),
    'e: fullbackup/3 started',
  ]);
  expect((await at('02T03:00:00')).filter((line) => line.startsWith('d:'))).toEqual([]);
  desk.exec('CREATE TABLE absent (id INTEGER PRIMARY KEY)');
  expect(await at('03T02:00:00')).toContain('d: fullbackup/5 started');
});

test('an unavailable store is reported, and missed runs are made up for when it is back', async () => {
  const {desk, scheduler, sql, at} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  renameSync(desk.cluster, join(desk.folder, 'away'));
  expect(await at('02T02:00:00')).toEqual([
    'c is not scheduled any more: it was dropped or altered, or its store is unavailable',
  ]);
  renameSync(join(desk.folder, 'away'), desk.cluster);
  expect(await at('02T02:06:00')).toEqual([
    'c is scheduled now',
    'c: the run of 2026-01-02T02:00:00Z was missed and is made up for now',
    'c: fullbackup/1 started',
  ]);
});

test('collections of another database in the same store are skipped, which is reported once', async () => {
  const {desk, scheduler, sql, at, deps} = await openBench();
  await sql(nightly);
  await scheduler.reload();
  await at('02T02:00:00');
  const elsewhere: TestDeps = {
    ...deps,
    settings: async () => ({...(await deps.settings()), source: join(desk.folder, 'other.db')}),
    again: async () => elsewhere,
  };
  const lines: string[] = [];
  const other = new Scheduler({deps: elsewhere, start: execute, profiles: [], tell: (line) => lines.push(line)});
  await other.reload();
  await at('20T02:00:00');
  lines.length = 0;
  await other.reload();
  await other.round();
  expect(lines).toEqual(['nothing is scheduled: no collection has a SCHEDULE, and backup.schedule.cron is not set']);
  await runScheduleNext(elsewhere, {count: 1, format: 'json'});
  expect(deps.err()).toContain(`c is skipped: its backups are of sqlite::path=${desk.database}, another database`);
});

test('schedule next prints what the scheduler will do', async () => {
  const {scheduler, sql, at, deps} = await openBench();
  await sql(create("SCHEDULE='0 2 * * *', SCHEDULE_FULL='0 2 * * 0', SCHEDULE_TZ='Europe/Berlin'"));
  await scheduler.reload();
  await at('02T01:00:00');
  await at('02T01:00:05');
  await at('02T12:00:00');
  await runScheduleNext(deps, {count: 3, format: 'pretty'});
  expect(deps.out()).toBe(
    [
      'collection  at                    local_time                          kind         note',
      'c           2026-01-03T01:00:00Z  Sat 2026-01-03 02:00 Europe/Berlin  incremental',
      'c           2026-01-04T01:00:00Z  Sun 2026-01-04 02:00 Europe/Berlin  full',
      'c           2026-01-05T01:00:00Z  Mon 2026-01-05 02:00 Europe/Berlin  incremental',
      '',
    ].join('\n'),
  );
  await expect(runScheduleNext(deps, {collection: 'x', count: 3, format: 'pretty'})).rejects.toMatchObject({
    code: 'COLLECTION_NOT_FOUND',
  });
});

/** `BACKUP DATABASE` every night at two, into a store of its own. */
function nightlyDatabase({desk, profile}: Bench): string {
  const objectStore: Settings['objectStore'] = {address: {kind: 'directory', root: join(desk.folder, 'store')}};
  Object.assign(profile, {objectStore, scheduleLine: '0 2 * * *'});
  return `database sqlite::path=${desk.database}`;
}

test('a database’s first backup is immediate, later ones follow the line; missed runs are made up for', async () => {
  const bench = await openBench();
  const {scheduler, lines, at, deps} = bench;
  const name = nightlyDatabase(bench);
  await scheduler.reload();
  expect(lines).toEqual([`schedules: ${name}`]);
  expect(await at('01T12:00:00')).toEqual([
    `${name}: no backup of it is known; taking one now`,
    `${name}: dbbackup/1 started`,
  ]);
  expect(await at('02T01:59:00')).toEqual(['dbbackup/1 ended: SUCCESS']);
  expect(await at('02T02:00:00')).toEqual([`${name}: dbbackup/2 started`]);
  expect(await at('09T07:30:00')).toEqual([
    'dbbackup/2 ended: SUCCESS',
    `${name}: the run of 2026-01-03T02:00:00Z was missed and is made up for now`,
    `${name}: dbbackup/3 started`,
  ]);
  expect(await at('09T20:00:00')).toEqual(['dbbackup/3 ended: SUCCESS']);
  // A scheduler that has only the store: another home, or this one without its journal.
  const lost = testDeps(join(bench.desk.folder, 'other'));
  onTestFinished(() => lost.close());
  const fresh: TestDeps = {...deps, journal: () => lost.journal(), again: async () => fresh};
  const told: string[] = [];
  const other = new Scheduler({deps: fresh, start: execute, profiles: [], tell: (line) => told.push(line)});
  await other.reload();
  await other.round();
  expect(told).toEqual([`schedules: ${name}`]);
  expect(deps.err()).toBe('');
});

test('a database’s overlapping run is skipped and reported; a refused one is retried at the next time', async () => {
  const bench = await openBench();
  const {scheduler, at, sql, worker, profile} = bench;
  const name = nightlyDatabase(bench);
  await scheduler.reload();
  await at('01T12:00:00');
  const held: Operation[] = [];
  const work = worker.start;
  worker.start = async (operation) => void held.push(operation);
  await at('02T01:59:30');
  await sql('BACKUP DATABASE');
  expect(await at('02T02:00:00')).toEqual([
    expect.stringMatching(/: the run of 2026-01-02T02:00:00Z is skipped: a backup of this database is in progress/),
  ]);
  await work(held[0]!);
  worker.start = work;
  expect(await at('02T02:01:00')).toEqual([]);
  profile.enabled = false;
  expect(await at('03T02:00:00')).toEqual([
    expect.stringMatching(/: the run of 2026-01-03T02:00:00Z was refused: .*backup.enabled is false/),
  ]);
  expect(await at('03T02:00:10')).toEqual([]);
  profile.enabled = true;
  expect(await at('04T02:00:00')).toEqual([`${name}: dbbackup/3 started`]);
});

test('a file that the environment names is read again when it changes, as keys in it do every hour', async () => {
  const {desk, deps, scheduler, at} = await openBench();
  const file = join(desk.home, 'heartbeat');
  writeFileSync(file, 'http://127.0.0.1:9/one');
  Object.assign(deps.env, {BKP_NOTIFY_HEARTBEAT_FILE: file});
  await scheduler.reload();
  expect(await at('02T09:00:00')).toEqual([]);
  writeFileSync(`${file}.new`, 'http://127.0.0.1:9/two');
  renameSync(`${file}.new`, file);
  const reloaded = 'settings and schedules are reloaded: the configuration changed, or reload_config() was called';
  expect(await at('02T09:00:30')).toContain(reloaded);
  expect(await at('02T09:01:00')).toEqual([]);
});

test('changed settings and reload_config() take effect in the next round; wrong ones change nothing', async () => {
  const bench = await openBench();
  const {scheduler, at, sql, profile, deps} = bench;
  await scheduler.reload();
  const name = nightlyDatabase(bench);
  expect(await at('01T12:00:00')).toEqual([]);
  await sql('SELECT reload_config()');
  expect(await at('01T12:00:30')).toEqual([
    expect.stringMatching(/^settings and schedules are reloaded: /),
    `schedules: ${name}`,
    `${name}: no backup of it is known; taking one now`,
    `${name}: dbbackup/1 started`,
  ]);
  profile.scheduleLine = '0 25 * * *';
  await expect(sql('SELECT reload_config()')).rejects.toMatchObject({message: "'0 25 * * *' is not a cron line"});
  expect(await at('01T12:01:00')).toEqual(['dbbackup/1 ended: SUCCESS']);
  writeFileSync(deps.home.configFile, '{"version": 1, "active": "default", "profiles": {"default": {}}}');
  expect(await at('01T12:01:30')).toEqual([
    expect.stringMatching(/^settings and schedules are reloaded: /),
    expect.stringMatching(/^the known schedules stay: '0 25 \* \* \*' is not a cron line/),
  ]);
  expect(await at('02T02:00:00')).toContain(`${name}: dbbackup/2 started`);
});

test('a cron line without an object store is an error when the scheduler starts', async () => {
  const bench = await openBench();
  nightlyDatabase(bench);
  bench.profile.objectStore = undefined;
  await expect(bench.scheduler.reload()).rejects.toMatchObject({message: /backup\.object\.store/});
});

test('schedule next prints the database’s times after those of collections', async () => {
  const bench = await openBench();
  const {scheduler, sql, at, deps, profile} = bench;
  nightlyDatabase(bench);
  profile.scheduleZone = 'Europe/Berlin';
  await runScheduleNext(deps, {count: 1, format: 'json'});
  expect(JSON.parse(deps.out())).toMatchObject({
    at: '2026-01-01T12:00:00Z',
    note: 'no backup of it is known; taken when the scheduler runs',
  });
  await sql(nightly);
  await scheduler.reload();
  await at('01T12:00:00');
  const before = deps.out().length;
  await runScheduleNext(deps, {count: 2, format: 'pretty'});
  expect(deps.out().slice(before)).toBe(
    [
      'collection  at                    local_time                          kind         note',
      'c           2026-01-02T02:00:00Z  Fri 2026-01-02 02:00 UTC            full             ',
      'c           2026-01-03T02:00:00Z  Sat 2026-01-03 02:00 UTC            incremental      ',
      'NULL        2026-01-02T01:00:00Z  Fri 2026-01-02 02:00 Europe/Berlin  database         ',
      'NULL        2026-01-03T01:00:00Z  Sat 2026-01-03 02:00 Europe/Berlin  database         ',
      '',
    ]
      .map((line) => line.trimEnd())
      .join('\n'),
  );
});

test('a QuestDB source has no collections, and those of others in its store do not affect it', async () => {
  const bench = await openBench();
  const {desk, scheduler, lines, sql, at, profile} = bench;
  nightlyDatabase(bench);
  await sql(nightly.replace("'cluster'", "'s3'"));
  await sql('BACKUP c');
  const root = join(desk.folder, 'root');
  writeRecordedRoot(root);
  const server = await ExecStandIn.start(root);
  onTestFinished(() => server.stop());
  profile.source = `questdb::root=${root};http=${server.url}`;
  await scheduler.reload();
  expect(lines).toEqual([
    expect.stringMatching(/^c is skipped: its backups are of sqlite::path=.*, another database$/),
    `schedules: database ${profile.source}`,
  ]);
  expect(await at('01T12:00:00')).toContain(`database ${profile.source}: dbbackup/2 started`);
  expect(await at('01T12:00:30')).toEqual(['dbbackup/2 ended: SUCCESS']);
  expect(server.held).toBeUndefined();
});

test('verifications with their budget and drills run beside backups, missed ones are made up for', async () => {
  const {deps, scheduler, sql, at} = await openBench();
  await sql(
    create("SCHEDULE='0 2 * * *', SCHEDULE_VERIFY='0 4 * * *', VERIFY_BUDGET='1 GiB', SCHEDULE_DRILL='0 5 * * 0'"),
  );
  await scheduler.reload();
  // Without a backup there is nothing to verify.
  expect(await at('01T14:00:00')).toEqual([]);
  expect(await at('02T02:00:00')).toEqual(['c: fullbackup/1 started']);
  // Scheduled since the collection exists, and not done since.
  expect((await at('02T04:00:00')).at(-1)).toBe('c (verify): verify/2 started');
  expect(await at('02T04:00:02')).toEqual(['verify/2 ended: SUCCESS']);
  const journal = await deps.journal();
  expect((await journal.find({last: true})).statement).toBe("VERIFY `c` WITH (BUDGET='1 GiB')");
  expect(await at('03T04:00:00')).toEqual([
    'c: the run of 2026-01-03T02:00:00Z was missed and is made up for now',
    'c: incbackup/3 started',
    'c (verify): verify/4 started',
  ]);
  expect(await at('04T05:00:00')).toContain('c (drill): verify/7 started');
  expect((await journal.find({last: true})).statement).toBe("VERIFY `c` WITH (LEVEL='restore')");
  expect(await at('04T05:00:02')).toContain('verify/7 ended: SUCCESS');
  expect((await at('05T04:00:00')).filter((line) => line.includes('(verify)'))).toEqual([
    'c (verify): verify/9 started',
  ]);
  await runScheduleNext(deps, {count: 1, format: 'json'});
  expect(
    deps
      .out()
      .trim()
      .split('\n')
      .slice(-3)
      .map((line) => JSON.parse(line) as {at: string; kind: string})
      .map((row) => [row.at, row.kind]),
  ).toEqual([
    ['2026-01-06T02:00:00Z', 'incremental'],
    ['2026-01-06T04:00:00Z', 'verify'],
    ['2026-01-11T05:00:00Z', 'drill'],
  ]);
});

test('a collection without a backup is not verified', async () => {
  const {scheduler, sql, at} = await openBench();
  await sql(create("SCHEDULE_VERIFY='0 4 * * *'"));
  await scheduler.reload();
  expect(await at('02T04:00:00')).toEqual([]);
  await sql('BACKUP c');
  await scheduler.reload();
  expect(await at('03T04:00:00')).toContain('c (verify): verify/2 started');
});

test.each(["VERIFY c WITH (LEVEL='structure')", "VERIFY c AT 'latest'"])(
  '%s is no verification of all data',
  async (part) => {
    const {scheduler, sql, at, setTime} = await openBench();
    await sql(create("SCHEDULE_VERIFY='0 4 * * *'"));
    await sql('BACKUP c');
    await scheduler.reload();
    setTime('02T04:00:00');
    await sql(part);
    expect(await at('02T04:00:01')).toContain('c (verify): verify/3 started');
    setTime('03T04:00:00');
    await sql('VERIFY c');
    expect(await at('03T04:00:01')).toEqual(['verify/3 ended: SUCCESS']);
  },
);

test('a verification that still runs is not started again', async () => {
  const {deps, scheduler, sql, at, worker} = await openBench();
  await sql(create("SCHEDULE_VERIFY='0 4 * * *'"));
  await sql('BACKUP c');
  await scheduler.reload();
  const journal = await deps.journal();
  worker.start = async ({number}) => void (await journal.claim(number));
  expect((await at('02T04:00:00')).at(-1)).toBe('c (verify): verify/2 started');
  expect(await at('03T04:00:00')).toEqual([
    'c (verify): the run of 2026-01-03T04:00:00Z is skipped: verify/2 still runs',
  ]);
  expect(await at('03T05:00:00')).toEqual([]);
});

test('VERIFY DATABASE runs on its own line, once there is a backup', async () => {
  const {desk, profile, scheduler, sql, at, deps} = await openBench();
  profile.objectStore = {address: {kind: 'directory', root: join(desk.folder, 'backups')}};
  profile.verifyLine = '0 4 * * *';
  profile.verifyBudget = '15 min';
  await scheduler.reload();
  expect(await at('01T14:00:00')).toEqual([]);
  await sql('BACKUP DATABASE');
  const name = `database sqlite::path=${desk.database} (verify)`;
  expect((await at('02T04:00:00')).at(-1)).toBe(`${name}: verify/2 started`);
  expect((await (await deps.journal()).find({last: true})).statement).toBe("VERIFY DATABASE WITH (BUDGET='15 min')");
  expect(await at('02T04:00:02')).toEqual(['verify/2 ended: SUCCESS']);
  expect(await at('02T05:00:00')).toEqual([]);
});

test('a drill of the database runs on its own line, once there is a backup', async () => {
  const {desk, profile, scheduler, sql, at, deps} = await openBench();
  profile.objectStore = {address: {kind: 'directory', root: join(desk.folder, 'backups')}};
  profile.drillLine = '0 5 * * *';
  await scheduler.reload();
  expect(await at('01T14:00:00')).toEqual([]);
  await sql('BACKUP DATABASE');
  const name = `database sqlite::path=${desk.database} (drill)`;
  expect((await at('02T05:00:00')).at(-1)).toBe(`${name}: verify/2 started`);
  expect((await (await deps.journal()).find({last: true})).statement).toBe("VERIFY DATABASE WITH (LEVEL='restore')");
  expect(await at('02T05:00:02')).toEqual(['verify/2 ended: SUCCESS']);
  expect(await at('02T06:00:00')).toEqual([]);
  expect((await at('03T05:00:00')).at(-1)).toBe(`${name}: verify/3 started`);
});
