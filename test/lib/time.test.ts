import {expect, test} from 'vitest';
import {microsOf, microsText, parseMoment, parseTimestamp, relativeMicros, secondsText} from '../../src/lib/time.ts';

test.each([
  [0, '1970-01-01T00:00:00.000000Z'],
  [1_753_879_770_554_262, '2025-07-30T12:49:30.554262Z'],
  [-1, '1969-12-31T23:59:59.999999Z'],
])('%i microseconds are %s, and the text reads back', (micros, text) => {
  expect(microsText(micros)).toBe(text);
  expect(microsOf(text)).toBe(micros);
  expect(parseTimestamp(text)).toBe(micros);
});

test('secondsText cuts the fraction', () => {
  expect(secondsText(1_766_754_324_999_999)).toBe('2025-12-26T13:05:24Z');
});

test.each([
  ['2026-11-21', '2026-11-21T00:00:00.000000Z'],
  ['2026-11-21 12:30', '2026-11-21T12:30:00.000000Z'],
  ['2026-11-21T12:30:15.5', '2026-11-21T12:30:15.500000Z'],
  ['2026-11-21T12:30:15+02:00', '2026-11-21T10:30:15.000000Z'],
  ['20261121T123015.123456Z', '2026-11-21T12:30:15.123456Z'],
  ['20261121T123015Z', '2026-11-21T12:30:15.000000Z'],
  [' 2026-11-21T12:30:15-0130 ', '2026-11-21T14:00:15.000000Z'],
])('parseTimestamp reads %j as %s', (text, expected) => {
  expect(microsText(parseTimestamp(text))).toBe(expected);
});

test.each([
  '',
  'yesterday',
  '2026-13-01',
  '2026-11-21T25:00',
  '12:00',
  '2026-11-21T12:00:00.1234567Z',
  '20261321T120000Z',
])('parseTimestamp refuses %j', (text) => {
  expect(() => parseTimestamp(text)).toThrow(expect.objectContaining({code: 'USAGE'}));
});

test('microsOf cuts digits beyond microseconds and returns undefined for any other text', () => {
  expect(microsOf('2026-11-21T12:00:00.123456789Z')).toBe(microsOf('2026-11-21T12:00:00.123456Z'));
  expect(microsOf('2026-11-21T12:00:00.1234567891Z')).toBeUndefined();
  expect(microsOf('now')).toBeUndefined();
});

test.each(['2026-11-31', '2026-02-29', '2026-02-30T12:00:00+02:00', '2026-13-01', '2026-00-10'])(
  '%s is no day',
  (text) => {
    expect(microsOf(text)).toBeUndefined();
  },
);

test('leap days and the last days of months are days', () => {
  expect(microsOf('2024-02-29T23:30:00-01:00')).toBe(Date.UTC(2024, 2, 1, 0, 30) * 1000);
  expect(microsOf('2026-12-31')).toBe(Date.UTC(2026, 11, 31) * 1000);
});

const now = Date.UTC(2024, 2, 31, 12) * 1000;

test.each([
  ['-90 seconds', '2024-03-31T11:58:30Z'],
  ['-1.5 hours', '2024-03-31T10:30:00Z'],
  ['- 2 DAYS', '2024-03-29T12:00:00Z'],
  ['-1week', '2024-03-24T12:00:00Z'],
  ['-1 month', '2024-02-29T12:00:00Z'],
  ['-13 months', '2023-02-28T12:00:00Z'],
  ['-1 year', '2023-03-31T12:00:00Z'],
])('%s before now is %s', (text, expected) => {
  expect(secondsText(relativeMicros(text, now)!)).toBe(expected);
  expect(parseMoment(text, now)).toBe(relativeMicros(text, now));
});

test.each(['1 day', '-1', '-1 fortnight', '-0.5 months', '- day', '--1 day', ''])(
  '%j is no time before now',
  (text) => {
    expect(relativeMicros(text, now)).toBeUndefined();
  },
);

test('latest is no point in time, and every other text is a timestamp or refused', () => {
  expect(parseMoment(' Latest ', now)).toBeUndefined();
  expect(parseMoment('2024-03-31', now)).toBe(Date.UTC(2024, 2, 31) * 1000);
  expect(() => parseMoment('yesterday', now)).toThrow(expect.objectContaining({code: 'USAGE'}));
});
