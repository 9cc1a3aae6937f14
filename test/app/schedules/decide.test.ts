import {expect, test} from 'vitest';
import {decide, type Situation, upcoming} from '../../../src/app/schedules/decide.ts';
import fc from '../../seeds/fast-check.ts';

const at = (text: string) => Date.parse(`2026-01-${text}Z`);
const nightly = {schedule: '0 2 * * *', incremental: true};
const sundays = {...nightly, scheduleFull: '0 2 * * 0'};
const old = {createdAtMs: at('01T12:00:00')};
const iso = (timeMs: number) => new Date(timeMs).toISOString().slice(5, 16);

test('the first backup of a new collection is taken at its first scheduled time and is full', () => {
  const situation = {plan: nightly, ...old};
  expect(decide(situation, at('02T01:59:59'))).toEqual({take: 'nothing', nextMs: at('02T02:00:00')});
  expect(decide(situation, at('02T02:00:00'))).toEqual({take: 'full', dueMs: at('02T02:00:00')});
});

test('later backups are increments if they are enabled, else full', () => {
  const situation = {plan: nightly, ...old, newestMs: at('02T02:00:01'), chainMs: at('02T02:00:01')};
  expect(decide(situation, at('02T02:00:30'))).toEqual({take: 'nothing', nextMs: at('03T02:00:00')});
  expect(decide(situation, at('03T02:00:00'))).toMatchObject({take: 'incremental'});
  expect(decide({...situation, plan: {...nightly, incremental: false}}, at('03T02:00:00'))).toMatchObject({
    take: 'full',
  });
});

test('a backup taken in the same second as its scheduled time counts for that time', () => {
  const situation = {plan: nightly, ...old, newestMs: at('02T02:00:00'), chainMs: at('02T02:00:00')};
  expect(decide(situation, at('02T02:00:00.900'))).toMatchObject({take: 'nothing', nextMs: at('03T02:00:00')});
});

test('runs that were missed for days are made up for once', () => {
  const situation = {plan: nightly, ...old, newestMs: at('02T02:00:01'), chainMs: at('02T02:00:01')};
  const now = at('09T07:30:00');
  expect(decide(situation, now)).toEqual({take: 'incremental', dueMs: at('03T02:00:00')});
  expect(decide({...situation, newestMs: now}, now)).toEqual({take: 'nothing', nextMs: at('10T02:00:00')});
});

test('an attempt counts even if it failed: the next one is at the next scheduled time', () => {
  const situation = {plan: nightly, ...old, newestMs: at('02T02:00:01'), chainMs: at('02T02:00:01')};
  expect(decide({...situation, attemptsMs: [at('03T02:00:01')]}, at('03T09:00:00'))).toEqual({
    take: 'nothing',
    nextMs: at('04T02:00:00'),
  });
});

test('SCHEDULE_FULL: full on Sundays, or later when Sunday was missed or failed', () => {
  const situation = {plan: sundays, ...old, newestMs: at('03T02:00:01'), chainMs: at('01T13:00:00')};
  // 4 January 2026 is a Sunday.
  expect(decide(situation, at('04T02:00:00'))).toEqual({take: 'full', dueMs: at('04T02:00:00')});
  const failed = {...situation, attemptsMs: [at('04T02:00:01')]};
  expect(decide(failed, at('04T12:00:00'))).toMatchObject({take: 'nothing', nextMs: at('05T02:00:00')});
  expect(decide(failed, at('05T02:00:00'))).toMatchObject({take: 'full'});
  const done = {...failed, newestMs: at('05T02:00:01'), chainMs: at('05T02:00:01')};
  expect(decide(done, at('06T02:00:00'))).toMatchObject({take: 'incremental'});
});

test('SCHEDULE_FULL has its own times and works without SCHEDULE', () => {
  const known = {...old, newestMs: at('02T02:00:01'), chainMs: at('02T02:00:01')};
  const own = {plan: {...nightly, scheduleFull: '30 5 * * *'}, ...known};
  expect(decide(own, at('02T05:30:00'))).toEqual({take: 'full', dueMs: at('02T05:30:00')});
  expect(decide({...known, plan: {incremental: true, scheduleFull: '0 2 * * 0'}}, at('03T12:00:00'))).toMatchObject({
    take: 'nothing',
    nextMs: at('04T02:00:00'),
  });
});

test('a broken chain is followed by a full backup', () => {
  const situation = {plan: nightly, ...old, newestMs: at('02T02:00:01')};
  expect(decide({...situation, chainMs: at('02T02:00:01'), isChainBroken: true}, at('03T02:00:05'))).toMatchObject({
    take: 'full',
  });
  expect(decide(situation, at('03T02:00:05'))).toMatchObject({take: 'full'});
});

test('without a creation time the first backup is due immediately; after a failure the next time counts', () => {
  const plan = {...nightly, incremental: false};
  const now = at('05T12:00:00');
  expect(decide({plan}, now)).toEqual({take: 'full', dueMs: now, isFirst: true});
  expect(decide({plan, attemptsMs: [now]}, at('06T01:00:00'))).toEqual({take: 'nothing', nextMs: at('06T02:00:00')});
  // Written when the clock was wrong.
  expect(decide({plan, newestMs: at('20T02:00:00')}, now)).toMatchObject({take: 'full'});
  expect(upcoming({plan}, now, 2)).toEqual([
    {atMs: now, take: 'full', isMissed: true, isFirst: true},
    {atMs: at('06T02:00:00'), take: 'full', isMissed: false},
  ]);
});

test('a clock that was wrong for a while does not stop a schedule', () => {
  const situation = {plan: nightly, ...old, newestMs: Date.parse('2031-01-01T00:00:00Z'), chainMs: at('01T13:00:00')};
  expect(decide(situation, at('03T03:00:00'))).toMatchObject({take: 'incremental'});
  expect(decide({...situation, attemptsMs: [at('03T03:00:00')]}, at('03T03:00:01'))).toMatchObject({take: 'nothing'});
});

test('a creation time or a beginning of the chain in the future is not waited for', () => {
  const future = Date.parse('2031-01-01T00:00:00Z');
  const now = at('05T12:00:00');
  expect(decide({plan: sundays, createdAtMs: future}, now)).toEqual({take: 'full', dueMs: now});
  expect(decide({plan: sundays, createdAtMs: future, attemptsMs: [now]}, now)).toMatchObject({take: 'nothing'});
  const ahead = {...old, newestMs: at('04T02:00:01'), chainMs: future};
  expect(decide({plan: sundays, ...ahead}, now)).toMatchObject({take: 'full'});
  // Without SCHEDULE_FULL a chain never ends.
  expect(decide({plan: nightly, ...ahead}, now)).toMatchObject({take: 'incremental'});
});

test('scheduled times are in the schedule’s time zone', () => {
  const plan = {...nightly, scheduleZone: 'America/New_York'};
  expect(decide({plan, ...old}, at('02T02:00:00'))).toEqual({take: 'nothing', nextMs: at('02T07:00:00')});
});

test('the list of next backups begins with the missed one and marks full ones', () => {
  const situation: Situation = {plan: sundays, ...old, newestMs: at('02T02:00:01'), chainMs: at('02T02:00:01')};
  const moments = upcoming(situation, at('03T12:00:00'), 4);
  expect(moments.map(({atMs, take, isMissed}) => [iso(atMs), take, isMissed])).toEqual([
    ['01-03T02:00', 'incremental', true],
    ['01-04T02:00', 'full', false],
    ['01-05T02:00', 'incremental', false],
    ['01-06T02:00', 'incremental', false],
  ]);
});

// A machine that is on and off at random, with backups that fail at random.
test('under random events no scheduled time gets two backups, and none is skipped while the machine is on', () => {
  const life = fc.array(fc.record({minutes: fc.integer({min: 1, max: 3000}), fails: fc.boolean()}), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(life, (looks) => {
      let now = old.createdAtMs;
      let situation: Situation = {plan: sundays, ...old};
      for (const {minutes, fails} of looks) {
        now += minutes * 60_000;
        const decision = decide(situation, now);
        const since = Math.max(old.createdAtMs, situation.newestMs ?? 0, ...(situation.attemptsMs ?? []));
        const passed =
          Math.floor((now - at('01T02:00:00')) / 86_400_000) > Math.floor((since - at('01T02:00:00')) / 86_400_000);
        expect(decision.take !== 'nothing').toBe(passed);
        if (decision.take === 'nothing') continue;
        situation = {...situation, attemptsMs: [now]};
        if (!fails) situation = {...situation, newestMs: now, ...(decision.take === 'full' ? {chainMs: now} : {})};
        expect(decide(situation, now)).toMatchObject({take: 'nothing'});
      }
    }),
  );
});
