import {expect, test} from 'vitest';
import {openSchedule} from '../../src/schedule/index.ts';
import fc from '../seeds/fast-check.ts';

const newYear = '2026-01-01T00:00:00Z';

/** The next times, in UTC without seconds. */
function next(line: string, {count = 3, from = newYear, zone}: {count?: number; from?: string; zone?: string} = {}) {
  const schedule = openSchedule(line, zone);
  const moments: string[] = [];
  for (let at = Date.parse(from); moments.length < count; ) {
    const found = schedule.next(at);
    if (found === undefined) break;
    moments.push(new Date(found).toISOString().slice(0, 16).replace('T', ' '));
    at = found;
  }
  return moments;
}

test.each([
  ['QC01', '0 0 * * *', ['2026-01-02 00:00', '2026-01-03 00:00', '2026-01-04 00:00']],
  ['QC02', '*/15 * * * *', ['2026-01-01 00:15', '2026-01-01 00:30', '2026-01-01 00:45']],
  ['QC03', '0 0 L * *', ['2026-01-31 00:00', '2026-02-28 00:00', '2026-03-31 00:00']],
  ['QC04', '0 0 * * 5L', ['2026-01-30 00:00', '2026-02-27 00:00', '2026-03-27 00:00']],
  ['QC05', '0 0 15W * *', ['2026-01-15 00:00', '2026-02-16 00:00', '2026-03-16 00:00']],
  ['QC06', '0 0 * * 5#3', ['2026-01-16 00:00', '2026-02-20 00:00', '2026-03-20 00:00']],
  ['QC07', '0 0 1,15 * *', ['2026-01-15 00:00', '2026-02-01 00:00', '2026-02-15 00:00']],
  ['QC08', '30 2 * JAN-MAR SUN', ['2026-01-04 02:30', '2026-01-11 02:30', '2026-01-18 02:30']],
  ['either day field is enough', '0 0 13 * 5', ['2026-01-02 00:00', '2026-01-09 00:00', '2026-01-13 00:00']],
  ['L or a Friday', '0 0 L * FRI#1', ['2026-01-02 00:00', '2026-01-31 00:00', '2026-02-06 00:00']],
  [
    'a month without a fifth Friday is skipped',
    '0 0 * * 5#5',
    ['2026-01-30 00:00', '2026-05-29 00:00', '2026-07-31 00:00'],
  ],
  ['1W stays in its month', '0 0 1W * *', ['2026-02-02 00:00', '2026-03-02 00:00', '2026-04-01 00:00']],
  [
    '31W stays in its month, and needs a 31st',
    '0 0 31W * *',
    ['2026-01-30 00:00', '2026-03-31 00:00', '2026-05-29 00:00'],
  ],
  ['0 and 7 are Sunday', '0 0 * * 7', ['2026-01-04 00:00', '2026-01-11 00:00', '2026-01-18 00:00']],
  ['names in any case', '0 0 * feb mon-TUE', ['2026-02-02 00:00', '2026-02-03 00:00', '2026-02-09 00:00']],
  ['a range up to Sunday', '0 0 * * 6-7', ['2026-01-03 00:00', '2026-01-04 00:00', '2026-01-10 00:00']],
  ['steps in a range', '0 8-18/5 * * *', ['2026-01-01 08:00', '2026-01-01 13:00', '2026-01-01 18:00']],
  ['a leap day', '0 0 29 2 *', ['2028-02-29 00:00', '2032-02-29 00:00', '2036-02-29 00:00']],
])('%s: %s', (_, line, moments) => {
  expect(next(line)).toEqual(moments);
});

test.each([
  '60 * * * *',
  '* * * *',
  '0 0 * * 8',
  '',
  '@daily',
  '0 0 0 * * *',
  '2030-01-01T00:00:00',
  '0 24 * * *',
  '0 0 0 * *',
  '0 0 32 * *',
  '0 0 1 0 *',
  '0 0 1 13 *',
  '0 0 * * 5#6',
  '0 0 * * 5#0',
  '0 0 31 2 *',
  '0 0 30W 2 *',
  '5-3 * * * *',
  '*/0 * * * *',
  '5/15 * * * *',
  '0 0 W * *',
  '0 0 LW * *',
  '0 0 ? * 1',
  '0 0 1 * +1',
  '0 0 * * L',
  '1,,2 * * * *',
  '1.5 * * * *',
  'MON 0 * * *',
  '0 0 * * FOO',
  '0 0 1-5W * *',
  "0 0 * * '",
])('the line %j is refused', (line) => {
  expect(() => openSchedule(line)).toThrow(
    expect.objectContaining({code: 'BAD_REQUEST', next: expect.stringContaining('five fields')}),
  );
});

test.each(['Nowhere/Land', '', '+02:00', '0'])('%j is not a time zone', (zone) => {
  expect(() => openSchedule('0 0 * * *', zone)).toThrow(expect.objectContaining({code: 'BAD_REQUEST'}));
});

const berlin = 'Europe/Berlin';

test.each([
  ['in summer and in winter', '30 2 * * *', '2026-06-30T12:00:00Z', berlin, ['2026-07-01 00:30', '2026-07-02 00:30']],
  [
    'the gap: the first instant after it',
    '30 2 * * *',
    '2026-03-27T12:00:00Z',
    berlin,
    ['2026-03-28 01:30', '2026-03-29 01:00', '2026-03-30 00:30'],
  ],
  [
    'several in the gap are one',
    '*/15 2 * * *',
    '2026-03-28T01:50:00Z',
    berlin,
    ['2026-03-29 01:00', '2026-03-30 00:00'],
  ],
  ['a list in the gap', '15,45 2 * * *', '2026-03-28T01:50:00Z', berlin, ['2026-03-29 01:00', '2026-03-30 00:15']],
  [
    'the gap and the hour after it',
    '0 2,3 * * *',
    '2026-03-28T02:50:00Z',
    berlin,
    ['2026-03-29 01:00', '2026-03-30 00:00', '2026-03-30 01:00'],
  ],
  [
    'every half hour over the gap',
    '*/30 * * * *',
    '2026-03-29T00:00:00Z',
    berlin,
    ['2026-03-29 00:30', '2026-03-29 01:00', '2026-03-29 01:30'],
  ],
  ['twice there: the first', '30 2 * * *', '2026-10-24T12:00:00Z', berlin, ['2026-10-25 00:30', '2026-10-26 01:30']],
  ['asked between the two', '30 2 * * *', '2026-10-25T00:45:00Z', berlin, ['2026-10-26 01:30']],
  ['asked within the second', '*/30 2 * * *', '2026-10-25T01:10:00Z', berlin, ['2026-10-26 01:00']],
  [
    'every half hour of a doubled hour, once',
    '*/30 2 * * *',
    '2026-10-24T12:00:00Z',
    berlin,
    ['2026-10-25 00:00', '2026-10-25 00:30', '2026-10-26 01:00'],
  ],
  [
    'every hour: the doubled one once',
    '0 * * * *',
    '2026-10-24T23:30:00Z',
    berlin,
    ['2026-10-25 00:00', '2026-10-25 02:00', '2026-10-25 03:00'],
  ],
  [
    'a gap of half an hour',
    '15 2 * * *',
    '2026-10-03T12:00:00Z',
    'Australia/Lord_Howe',
    ['2026-10-03 15:30', '2026-10-04 15:15'],
  ],
  [
    'an overlap of half an hour',
    '45 1 * * *',
    '2026-04-04T00:00:00Z',
    'Australia/Lord_Howe',
    ['2026-04-04 14:45', '2026-04-05 15:15'],
  ],
  [
    'a gap at midnight',
    '0 0 * * *',
    '2026-09-05T12:00:00Z',
    'America/Santiago',
    ['2026-09-06 04:00', '2026-09-07 03:00'],
  ],
  [
    'a day that a country left out',
    '0 12 30 12 *',
    '2011-12-28T12:00:00Z',
    'Pacific/Apia',
    ['2011-12-30 10:00', '2012-12-29 22:00'],
  ],
  [
    'a zone of quarter hours',
    '0 0 * * *',
    '2026-01-01T12:00:00Z',
    'Asia/Kathmandu',
    ['2026-01-01 18:15', '2026-01-02 18:15'],
  ],
])('%s: %s', (_, line, from, zone, moments) => {
  expect(next(line, {from, zone, count: moments.length})).toEqual(moments);
});

test('the seconds of the start time do not matter', () => {
  expect(next('* * * * *', {from: '2026-01-01T00:00:59.999Z', count: 1})).toEqual(['2026-01-01 00:01']);
  expect(next('* * * * *', {from: '2026-01-01T00:01:00.000Z', count: 1})).toEqual(['2026-01-01 00:02']);
});

// A second, slow and simple implementation of the same rules: it checks every minute.

type Plain = {minutes: number[]; hours: number[]; days: string[]; months: number[]; weekdays: string[]};

const some = (low: number, high: number) =>
  fc.uniqueArray(fc.integer({min: low, max: high}), {minLength: 1, maxLength: 3});
const dayArbitrary = fc.uniqueArray(
  fc.oneof(
    fc.integer({min: 1, max: 31}).map(String),
    fc.integer({min: 1, max: 28}).map((day) => `${day}W`),
    fc.constant('L'),
  ),
  {maxLength: 2},
);
const weekdayArbitrary = fc.uniqueArray(
  fc.oneof(
    fc.integer({min: 0, max: 6}).map(String),
    fc.integer({min: 0, max: 6}).map((day) => `${day}L`),
    fc.tuple(fc.integer({min: 0, max: 6}), fc.integer({min: 1, max: 5})).map(([day, week]) => `${day}#${week}`),
  ),
  {maxLength: 2, selector: (word) => word[0]},
);
const lineArbitrary: fc.Arbitrary<Plain> = fc.record({
  minutes: some(0, 59),
  hours: some(0, 23),
  days: dayArbitrary,
  months: some(1, 12),
  weekdays: weekdayArbitrary,
});

const lineOf = ({minutes, hours, days, months, weekdays}: Plain) =>
  [minutes.join(), hours.join(), days.join() || '*', months.join(), weekdays.join() || '*'].join(' ');

function fitsDay({days, months, weekdays}: Plain, date: Date): boolean {
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  if (!months.includes(month + 1)) return false;
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const weekdayOf = (n: number) => new Date(Date.UTC(year, month, n)).getUTCDay();
  const isWorkday = (n: number) => n >= 1 && n <= last && weekdayOf(n) % 6 !== 0;
  const nearest = (n: number) => (n > last ? 0 : [n, n - 1, n + 1, n - 2, n + 2].find(isWorkday));
  const byDay = days.some((word) =>
    word === 'L'
      ? day === last
      : word.endsWith('W')
        ? day === nearest(Number(word.slice(0, -1)))
        : day === Number(word),
  );
  const byWeekday = weekdays.some((word) => {
    if (weekdayOf(day) !== Number(word[0])) return false;
    if (word.endsWith('L')) return day + 7 > last;
    return word.includes('#') ? Math.ceil(day / 7) === Number(word.slice(2)) : true;
  });
  if (days.length === 0 && weekdays.length === 0) return true;
  return (days.length > 0 && byDay) || (weekdays.length > 0 && byWeekday);
}

test('a random line runs on exactly the days and minutes that match', () => {
  fc.assert(
    fc.property(lineArbitrary, fc.integer({min: 0, max: 3650}), (plain, startDay) => {
      const from = Date.UTC(2024, 0, 1) + startDay * 86_400_000;
      const expected: string[] = [];
      for (let day = 0; day < 800 && expected.length < 4; day++) {
        const date = new Date(from + day * 86_400_000);
        if (!fitsDay(plain, date)) continue;
        for (const hour of [...plain.hours].sort((a, b) => a - b)) {
          for (const minute of [...plain.minutes].sort((a, b) => a - b)) {
            const at = date.getTime() + hour * 3_600_000 + minute * 60_000;
            if (at > from) expected.push(new Date(at).toISOString().slice(0, 16).replace('T', ' '));
          }
        }
      }
      fc.pre(expected.length >= 4);
      expect(next(lineOf(plain), {from: new Date(from).toISOString(), count: 4})).toEqual(expected.slice(0, 4));
    }),
    {numRuns: 200 * Number(process.env.BKP_TEST_RUNS ?? 1)},
  );
});
