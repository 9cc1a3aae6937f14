import {BkpError} from '../errors/index.ts';

/** `2026-11-21T12:00:00Z`: RFC 3339 in UTC, cut to whole seconds. @param micros since 1970 */
export function secondsText(micros: number): string {
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, 19)}Z`;
}

/** `2026-11-21T12:00:00.123456Z`, as QuestDB prints a timestamp. @param micros since 1970 */
export function microsText(micros: number): string {
  const fraction = String(((micros % 1e6) + 1e6) % 1e6).padStart(6, '0');
  return `${secondsText(micros).slice(0, -1)}.${fraction}Z`;
}

const pattern = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$/;

/**
 * Reads `2026-11-21`, `2026-11-21T12:00:00.123456Z` and forms between them; UTC unless the text names an offset.
 * @returns microseconds since 1970, digits beyond them cut off; undefined for any other text
 */
export function microsOf(text: string): number | undefined {
  const parts = pattern.exec(text);
  if (parts === null) return undefined;
  const [, day, time = '00:00:00', fraction = '', zone = 'Z'] = parts;
  // Date.parse takes 31 November for 1 December.
  if (new Date(Date.parse(`${day}T00:00:00Z`)).getUTCDate() !== Number(day!.slice(-2))) return undefined;
  const millis = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${zone}`);
  return Number.isNaN(millis) ? undefined : millis * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/** ISO 8601's form without separators: in the name of a database's backup, as reports and the store have it. */
const basicForm = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/;

/**
 * A point in time as the user types it: one of the forms of {@link microsOf}, or `20261121T120000.123456Z`.
 * @returns microseconds since 1970
 * @throws BkpError `USAGE`, also for more than six digits after the seconds
 */
export function parseTimestamp(text: string): number {
  const plain = text.trim().replace(basicForm, '$1-$2-$3T$4:$5:$6$7Z');
  const micros = /\.\d{7}/.test(text) ? undefined : microsOf(plain);
  if (micros !== undefined) return micros;
  throw new BkpError('USAGE', `${JSON.stringify(text)} is not a timestamp`, {
    next: 'write it as 2026-11-21T12:00:00Z, with at most six digits after the seconds, or as -1 day',
  });
}

const daysOf: Readonly<Record<string, number>> = {second: 1 / 86_400, minute: 1 / 1440, hour: 1 / 24, day: 1, week: 7};
const relative = /^-\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week|month|year)s?$/i;

/**
 * Reads `-1 day`, `-2 hours`, `-30 minutes`, `-1 month` as that long before now. Months and years are those of the UTC
 * calendar: a month before 31 March is the last day of February.
 * @returns microseconds since 1970; undefined for any other text
 */
export function relativeMicros(text: string, nowMicros: number): number | undefined {
  const [, written, word] = relative.exec(text.trim()) ?? [];
  if (written === undefined || word === undefined) return undefined;
  const [count, unit] = [Number(written), word.toLowerCase()];
  const days = daysOf[unit];
  if (days !== undefined) return nowMicros - Math.round(count * days * 86_400e6);
  if (!Number.isInteger(count)) return undefined;
  const now = new Date(nowMicros / 1000);
  const months = count * (unit === 'year' ? 12 : 1);
  const wanted = new Date(now);
  wanted.setUTCMonth(now.getUTCMonth() - months);
  // The day does not exist in that month: the date moved into the next one.
  if (wanted.getUTCDate() !== now.getUTCDate()) wanted.setUTCDate(0);
  return wanted.getTime() * 1000;
}

/**
 * The point in time of a database's backup as the user types it: a timestamp, a time relative to now, or `latest`.
 * @returns microseconds since 1970; undefined for `latest`
 * @throws BkpError `USAGE`
 */
export function parseMoment(text: string, nowMicros: number): number | undefined {
  if (isLatest(text)) return undefined;
  return relativeMicros(text, nowMicros) ?? parseTimestamp(text);
}

/** The word for the newest backup. */
export const isLatest = (text: string): boolean => text.trim().toLowerCase() === 'latest';
