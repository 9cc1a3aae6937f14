import {expect, test} from 'vitest';
import {type KeepMatch, type KeepRules, matchRules} from '../../../src/backups/keep/index.ts';
import {openCalendar} from '../../../src/schedule/index.ts';
import fc from '../../seeds/fast-check.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const farMs = Date.UTC(2100, 0, 1);

const zones = ['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns'];
const limit = fc.option(fc.integer({min: 1, max: 6}), {nil: undefined});
const rules = fc.record({last: limit, hourly: limit, daily: limit, weekly: limit, monthly: limit, yearly: limit});

/** Backups minutes to months apart, newest first. */
const times = fc
  .tuple(
    fc.integer({min: 0, max: 5 * 365 * 24 * 60}),
    fc.array(
      fc.tuple(fc.integer({min: 1, max: 40}), fc.constantFrom(minuteMs, 20 * minuteMs, hourMs, 7 * hourMs, dayMs)),
      {
        maxLength: 40,
      },
    ),
  )
  .map(([start, gaps]) => {
    let ms = Date.UTC(2024, 0, 1) + start * minuteMs;
    return gaps.map(([count, unit]) => {
      ms -= count * unit;
      return ms;
    });
  });

/** The words of a local time, by the system's own calendar. */
function local(ms: number, zone: string) {
  const format = new Intl.DateTimeFormat('sv-SE', {timeZone: zone, dateStyle: 'short', timeStyle: 'medium'});
  const [day, time] = format.format(ms).split(' ') as [string, string];
  return {day, hour: time.slice(0, 2)};
}

/** ISO 8601: a week belongs to the year of its Thursday, so the date of the Thursday names it. */
function thursdayOf(day: string): string {
  const date = new Date(`${day}T12:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  return date.toISOString().slice(0, 10);
}

function spanIn(rule: string, ms: number, zone: string): string {
  const {day, hour} = local(ms, zone);
  const spans: Record<string, string> = {
    ...{last: String(ms), hourly: `${day} ${hour}`, daily: day},
    ...{weekly: thursdayOf(day), monthly: day.slice(0, 7), yearly: day.slice(0, 4)},
  };
  return spans[rule]!;
}

/**
 * The definition as sets: a rule keeps a backup that is the newest of one of the newest n spans that have any; and the
 * oldest of all while there are fewer than n such spans.
 */
function modelOf(newestFirst: readonly number[], rule: string, n: number, zone: string): Set<number> {
  const newestOf = new Map<string, number>();
  for (const ms of newestFirst) {
    const span = spanIn(rule, ms, zone);
    newestOf.set(span, Math.max(ms, newestOf.get(span) ?? 0));
  }
  const kept = new Set([...newestOf.values()].sort((a, b) => b - a).slice(0, n));
  if (newestOf.size < n && newestFirst.length > 0) kept.add(Math.min(...newestFirst));
  return kept;
}

const runs = {numRuns: 60 * Number(process.env.BKP_TEST_RUNS ?? 1)};

test('each rule keeps exactly the backups of its definition, in any time zone', () => {
  fc.assert(
    fc.property(times, rules, fc.constantFrom(...zones), (newestFirst, wanted, zone) => {
      const matches = matchRules(newestFirst, wanted, {calendar: openCalendar(zone), nowMs: farMs});
      for (const [rule, n] of Object.entries(wanted)) {
        const kept = newestFirst.filter((_, at) => matches[at]!.some((match) => match.rule === rule));
        const model = n === undefined ? new Set() : modelOf(newestFirst, rule, n, zone);
        expect(new Set(kept), `${rule} of ${n} in ${zone}`).toEqual(model);
      }
    }),
    runs,
  );
});

test('where a clock was wrong, each rule counts an hour, a day, … once, in the order of the backups', () => {
  fc.assert(
    fc.property(times, fc.infiniteStream(fc.nat()), rules, fc.constantFrom(...zones), (sorted, keys, wanted, zone) => {
      const jumps = new Map(sorted.map((ms) => [ms, keys.next().value!]));
      const newestFirst = sorted.toSorted((a, b) => jumps.get(a)! - jumps.get(b)!);
      const matches = matchRules(newestFirst, wanted, {calendar: openCalendar(zone), nowMs: farMs});
      for (const [rule, n] of Object.entries(wanted)) {
        const spans = newestFirst.map((ms) => spanIn(rule, ms, zone));
        const firsts = newestFirst.filter((_, at) => spans.indexOf(spans[at]!) === at);
        const model = new Set(n === undefined ? [] : firsts.slice(0, n));
        if (n !== undefined && firsts.length < n && newestFirst.length > 0) model.add(newestFirst.at(-1)!);
        const kept = newestFirst.filter((_, at) => matches[at]!.some((match) => match.rule === rule));
        expect(new Set(kept), `${rule} of ${n} in ${zone}`).toEqual(model);
      }
    }),
    runs,
  );
});

test('the positions of a rule are 1, 2, … from the newest on, never more than its limit', () => {
  fc.assert(
    fc.property(times, rules, (newestFirst, wanted) => {
      const matches = matchRules(newestFirst, wanted, {calendar: openCalendar(), nowMs: farMs}).flat();
      for (const [rule, n] of Object.entries(wanted)) {
        const positions = matches.flatMap((match) =>
          match.rule === rule && 'position' in match ? match.position : [],
        );
        expect(positions).toEqual(positions.map((_, at) => at + 1));
        expect(positions.length).toBeLessThanOrEqual(n ?? 0);
      }
    }),
    runs,
  );
});

test('without the backups that no rule keeps, the rules keep the same ones', () => {
  fc.assert(
    fc.property(times, rules, (newestFirst, wanted) => {
      const matching = (all: readonly number[]) => {
        const matches = matchRules(all, wanted, {calendar: openCalendar(), nowMs: farMs});
        return all.filter((_, at) => matches[at]!.length > 0);
      };
      const kept = matching(newestFirst);
      expect(matching(kept)).toEqual(kept);
    }),
    runs,
  );
});

const at = (...texts: string[]) => texts.map((text) => Date.parse(text));
const of = (newestFirst: readonly number[], wanted: KeepRules, {zone = 'UTC', now = '2100-01-01'} = {}) =>
  matchRules(newestFirst, wanted, {calendar: openCalendar(zone), nowMs: Date.parse(now)}).map((found) =>
    found.map(words).join(' '),
  );
const words = (match: KeepMatch) =>
  'position' in match ? `${match.rule} ${match.position}${match.isOldest ? ' oldest' : ''}` : match.rule;

test('a day begins at midnight of the zone', () => {
  const newestFirst = at('2026-07-02T21:59:00Z', '2026-07-01T22:00:00Z', '2026-07-01T21:59:00Z');
  expect(of(newestFirst, {daily: 2})).toEqual(['daily 1', 'daily 2', '']);
  expect(of(newestFirst, {daily: 2}, {zone: 'Europe/Berlin'})).toEqual(['daily 1', '', 'daily 2']);
});

test('a week begins on Monday, also across the end of a year', () => {
  const newestFirst = at(
    '2027-01-04T00:00:00Z',
    '2027-01-03T23:59:00Z',
    '2026-12-28T00:00:00Z',
    '2026-12-27T23:59:00Z',
  );
  expect(of(newestFirst, {weekly: 3})).toEqual(['weekly 1', 'weekly 2', '', 'weekly 3']);
});

test('the oldest backup stays until a rule has found as many as it may keep', () => {
  const newestFirst = at('2026-07-03T12:00:00Z', '2026-07-02T12:00:00Z', '2026-07-02T11:00:00Z');
  expect(of(newestFirst, {daily: 3})).toEqual(['daily 1', 'daily 2', 'daily 3 oldest']);
  expect(of(newestFirst, {daily: 2})).toEqual(['daily 1', 'daily 2', '']);
});

test('within goes back from the newest backup, by the calendar, and not from now', () => {
  const newestFirst = at('2026-03-31T12:00:00Z', '2026-03-03T12:00:01Z', '2026-03-03T12:00:00Z');
  const within = {years: 0, months: 1, days: 0, hours: 0};
  expect(of(newestFirst, {within})).toEqual(['within', 'within', '']);
});

test('a backup named after a time in the future does not shorten what within keeps', () => {
  const newestFirst = at(
    '2036-01-01T00:00:00Z',
    '2026-07-02T00:00:00Z',
    '2026-07-01T00:00:00Z',
    '2026-06-01T00:00:00Z',
  );
  const within = {years: 0, months: 0, days: 3, hours: 0};
  expect(of(newestFirst, {within}, {now: '2026-07-02T01:00:00Z'})).toEqual(['within', 'within', 'within', '']);
  expect(of(newestFirst.slice(0, 1), {within}, {now: '2026-07-02'})).toEqual(['within']);
});
