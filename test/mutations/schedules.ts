import type {Mutant} from './mutant.ts';

const known = 'src/app/schedules/known.ts';
const decide = 'src/app/schedules/decide.ts';
const scheduler = 'test/app/scheduler/scheduler.test.ts';
const beside = 'verifications with their budget and drills run beside backups, missed ones are made up for';

/** SCHEDULE, SCHEDULE_VERIFY and SCHEDULE_DRILL. */
export const scheduleMutants: readonly Mutant[] = [
  {
    name: 'schedules: a verification that runs is started again',
    file: known,
    from: "return last === undefined || last.state.name === 'done' ? undefined : operationId(last);",
    to: 'return last === undefined || operationId(last) !== undefined ? undefined : undefined;',
    killedBy: [scheduler, 'a verification that still runs is not started again'],
  },
  {
    name: 'schedules: a collection without a backup is verified',
    file: known,
    from: 'plan.scheduleVerify !== undefined && newestMs !== undefined',
    to: 'plan.scheduleVerify !== undefined',
    killedBy: [scheduler, 'a collection without a backup is not verified'],
  },
  {
    name: 'schedules: a verification of the structure is one of all data',
    file: known,
    from: "order.backup === undefined && order.level === 'data'",
    to: 'order.backup === undefined',
    killedBy: [scheduler, "VERIFY c WITH (LEVEL='structure') is no verification of all data"],
  },
  {
    name: 'schedules: a drill is a verification',
    file: known,
    from: "return verifyCollection(name, [{key: 'LEVEL', value: 'restore'}]);",
    to: 'return verifyCollection(name, []);',
    killedBy: [scheduler, beside],
  },
  {
    name: 'schedules: VERIFY_BUDGET is ignored',
    file: known,
    from: 'budgetIs(plan.verifyBudget)',
    to: 'budgetIs(undefined)',
    killedBy: [scheduler, beside],
  },
  {
    name: 'schedules: SCHEDULE_DRILL is not run',
    file: known,
    from: "if (plan.scheduleDrill !== undefined && newestMs !== undefined) tasks.push('drill');",
    to: '',
    killedBy: [scheduler, beside],
  },
  {
    name: 'schedules: a drill of the database is a verification',
    file: known,
    from: "if (task === 'drill') return verifyDatabase([{key: 'LEVEL', value: 'restore'}]);",
    to: '',
    killedBy: [scheduler, 'a drill of the database runs on its own line, once there is a backup'],
  },
  {
    name: 'schedules: the budget of VERIFY DATABASE is ignored',
    file: known,
    from: 'budgetIs(scheduled.verify.budget)',
    to: '[]',
    killedBy: [scheduler, 'VERIFY DATABASE runs on its own line, once there is a backup'],
  },
  {
    name: 'schedules: a missed run is left out',
    file: decide,
    from: 'const {any} = nextTimes(plan, sinceMs);',
    to: 'const {any} = nextTimes(plan, Math.max(sinceMs, nowMs - 60_000));',
    killedBy: [scheduler, 'a missed run is made up for once and reported'],
  },
  {
    name: 'schedules: names that follow a clock that was ahead are times',
    file: 'src/collections/views/scheduled.ts',
    from: 'const isTime = nameMs(chain) <= newestMs;',
    to: 'const isTime = newestMs > 0;',
    killedBy: [scheduler, 'a backup named by a clock that was ten years ahead stops neither full backups nor cleanups'],
  },
  {
    name: 'schedules: names in the future start no cleanup',
    file: 'src/collections/backup/backup.ts',
    from: 'const isAhead = backups.length > 0 && nameMs(backups.at(-1)!) > nowMs;',
    to: 'const isAhead = backups.length > 0 && nowMs < 0;',
    killedBy: [scheduler, 'a backup named by a clock that was ten years ahead stops neither full backups nor cleanups'],
  },
  {
    name: 'schedules: SCHEDULE_FULL takes increments',
    file: decide,
    from: 'const isFull = full !== undefined && (full <= nowMs || chainMs > nowMs);',
    to: 'const isFull = full === null;',
    killedBy: [
      scheduler,
      'the scheduler takes a full backup, increments, and a full one on Sunday, and reports each end',
    ],
  },
];
