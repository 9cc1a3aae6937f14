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
  const millis = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${zone}`);
  return Number.isNaN(millis) ? undefined : millis * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/**
 * A point in time as the user types it; see {@link microsOf} for the forms.
 * @returns microseconds since 1970
 * @throws BkpError `USAGE`, also for more than six digits after the seconds
 */
export function parseTimestamp(text: string): number {
  const micros = /\.\d{7}/.test(text) ? undefined : microsOf(text.trim());
  if (micros !== undefined) return micros;
  throw new BkpError('USAGE', `${JSON.stringify(text)} is not a timestamp`, {
    next: 'write it as 2026-11-21T12:00:00Z, with at most six digits after the seconds',
  });
}
