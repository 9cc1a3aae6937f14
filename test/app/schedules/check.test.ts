import {expect, test} from 'vitest';
import {Scheduler} from '../../../src/app/scheduler/scheduler.ts';
import {checkBackups} from '../../../src/app/schedules/check.ts';
import {isRunBySomething, reportRunner} from '../../../src/app/schedules/runner.ts';
import {execute} from '../../../src/app/statements/execute.ts';
import {runScheduleNext} from '../../../src/commands/schedule/next.ts';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {parse} from '../../../src/sql/index.ts';
import {openDesk} from '../../helpers/desk.ts';
import {deskDeps} from '../../helpers/desk-deps.ts';

// What says that no backups are taken although they should be.

function openBench() {
  const desk = openDesk();
  const deps = deskDeps(desk);
  // Noon: no schedule of these tests is due near it, in no zone of theirs.
  const clock = {ms: Math.floor(Date.now() / dayMs) * dayMs + dayMs / 2};
  deps.nowMicros = () => clock.ms * 1000;
  const run = async (statement: string) => execute(deps, parse(statement)[0]!);
  const faults = async () => (await checkBackups(deps)).filter(({ok}) => !ok).map(({detail}) => detail);
  return {desk, deps, clock, run, faults};
}

const create = `CREATE BACKUP COLLECTION c (TABLE orders, TABLE products) WITH (STORAGE='cluster',
  INCREMENTAL_BACKUP_ENABLED='true', SCHEDULE='0 2 * * *')`;
const idle = /^no process of this home runs the schedules of profile default/;
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

test('CREATE and ALTER with a SCHEDULE, schedule next and doctor say when nothing runs schedules', async () => {
  const {deps, run, faults, clock} = openBench();
  expect((await run(create)).notices).toEqual([expect.stringMatching(idle)]);
  expect((await run("ALTER BACKUP COLLECTION c SET (SCHEDULE_FULL='0 2 * * 0')")).notices).toHaveLength(1);
  expect((await run("ALTER BACKUP COLLECTION c SET (SCHEDULE_TZ='Europe/Berlin')")).notices).toEqual([]);
  await runScheduleNext(deps, {count: 1, format: 'pretty'});
  expect(deps.err()).toMatch(/bkp: no process of this home runs the schedules/);
  expect(await faults()).toEqual([expect.stringMatching(idle)]);
  const scheduler = new Scheduler({deps, start: execute, profiles: [], tell: () => {}});
  await scheduler.reload();
  await scheduler.round();
  expect(await faults()).toEqual([]);
  expect((await run("ALTER BACKUP COLLECTION c SET (SCHEDULE='0 3 * * *')")).notices).toEqual([]);
  scheduler.leave();
  expect(await faults()).toEqual([expect.stringMatching(idle)]);
  // A timer counts until it has not run for a while.
  const timer = new Scheduler({deps, start: execute, profiles: [], tell: () => {}, isTerse: true});
  await timer.reload();
  await timer.round();
  clock.ms += 14 * minuteMs;
  expect(await faults()).toEqual([]);
  clock.ms += 2 * minuteMs;
  expect(await faults()).toEqual([expect.stringMatching(idle)]);
});

test('a scheduler that was killed runs nothing; one in another container counts while it reports', () => {
  const {deps, clock} = openBench();
  const isRun = (fate: 'alive' | 'gone' | 'unseen', atMs = clock.ms) =>
    isRunBySomething(deps.home, 'default', atMs, {...systemProcesses, fateOf: () => fate});
  expect(isRun('alive')).toBe(false);
  reportRunner(deps.home, 'default', {kind: 'service', nowMs: clock.ms});
  expect(isRun('alive', clock.ms + 60 * minuteMs)).toBe(true);
  expect(isRun('gone')).toBe(false);
  expect(isRun('unseen')).toBe(true);
  expect(isRun('unseen', clock.ms + 60 * minuteMs)).toBe(false);
  // Its clock, or this one, was set back.
  expect(isRun('unseen', clock.ms - 60 * minuteMs)).toBe(false);
  expect(isRunBySomething(deps.home, 'other', clock.ms)).toBe(false);
});

test('doctor fails for an overdue backup, a failed one, and a chain that no increment can continue', async () => {
  const {desk, deps, clock, run, faults} = openBench();
  await run(create);
  reportRunner(deps.home, 'default', {kind: 'service', nowMs: clock.ms});
  await run('BACKUP c');
  expect(await faults()).toEqual([]);
  clock.ms += 48 * 60 * minuteMs;
  expect(await faults()).toEqual([expect.stringMatching(/^c: the backup of .*T02:00:00Z was not taken$/)]);
  await run('BACKUP c INCREMENTAL');
  expect(await faults()).toEqual([]);
  desk.exec('ALTER TABLE products RENAME TO goods');
  await expect(run('BACKUP c')).rejects.toThrow();
  const [chain, last, ...more] = await faults();
  expect(chain).toMatch(/^no increment is possible: .*products/);
  expect(last).toMatch(/^the last backup of collection c failed \(fullbackup\/\d+\): .*products/);
  expect(more).toEqual([]);
});
