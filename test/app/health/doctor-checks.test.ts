import {afterEach, beforeEach, expect, test} from 'vitest';
import {checkHome} from '../../../src/app/health/doctor-checks.ts';
import {openJournal} from '../../../src/ops/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {addRunning} from '../../helpers/journal.ts';

let deps: TestDeps;
let remove: () => void;
beforeEach(() => {
  const temporary = temporaryHome();
  remove = temporary.remove;
  deps = testDeps(temporary.home);
});
afterEach(() => {
  deps.close();
  remove();
});

/** An operation whose worker runs on db2 and reported last when the clock showed `atMicros`. */
async function addRunningElsewhere(atMicros: number): Promise<void> {
  const machine = {name: 'db2', id: 'machine of db2', cards: '00:00:5e:00:53:02'};
  const identity = {pid: 12, startedAt: '1', boot: 'boot of db2', space: 'pid:[4026531836]', machine};
  const {journalFile: file, logsDir} = deps.home;
  const processes = {self: () => identity, identify: () => identity, fateOf: () => 'alive' as const};
  const there = openJournal({file, logsDir, nowMicros: () => atMicros, processes});
  await addRunning(there);
  there.close();
}

test('doctor reports a worker on another host that has been silent for a minute', async () => {
  await addRunningElsewhere(deps.nowMicros() - 61e6);
  expect(await checkHome(deps)).toContainEqual({
    what: 'journal: worker',
    ok: false,
    detail: expect.stringMatching(/^fullbackup\/1 runs on db2 \(process 12\), last report /),
    next: expect.stringMatching(/on db2, if that worker is dead, bkp operation list ends it immediately/),
  });
});

test('doctor finds nothing wrong with a worker on another host that reported a second ago', async () => {
  await addRunningElsewhere(deps.nowMicros() - 1e6);
  expect((await checkHome(deps)).filter(({ok}) => !ok)).toEqual([]);
});
