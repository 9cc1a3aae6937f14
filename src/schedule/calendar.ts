import type {Period} from '../lib/period.ts';
import {openZone, type Zone} from './zone.ts';

/** The local calendar of a zone. Times are milliseconds since 1970. */
export type Calendar = {
  /**
   * Names the local hour, day, week (ISO 8601, from Monday), month or year of an instant: two instants are in the same
   * one exactly if the names are equal.
   */
  spanOf(unit: CalendarUnit, instantMs: number): string;
  /** The same local time that much earlier: of 31 March, one month earlier is 3 March, because February is shorter. */
  before(instantMs: number, period: Period): number;
  /** The same local time that much later; of 31 January, one month later is 3 March, or 2 March in a leap year. */
  after(instantMs: number, period: Period): number;
};

export type CalendarUnit = 'hour' | 'day' | 'week' | 'month' | 'year';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** @param zone an IANA name; default UTC @throws BkpError `BAD_REQUEST` */
export function openCalendar(zone = 'UTC'): Calendar {
  const opened = openZone(zone);
  return {
    spanOf: (unit, instantMs) => spanOf(unit, opened.wallOf(instantMs)),
    before: (instantMs, period) => shifted(opened, instantMs, {period, sign: -1}),
    after: (instantMs, period) => shifted(opened, instantMs, {period, sign: 1}),
  };
}

function spanOf(unit: CalendarUnit, wallMs: number): string {
  const iso = new Date(wallMs).toISOString();
  switch (unit) {
    case 'hour':
      return iso.slice(0, -'00:00.000Z'.length);
    case 'day':
      return iso.slice(0, -'T00:00:00.000Z'.length);
    case 'month':
      return iso.slice(0, -'-01T00:00:00.000Z'.length);
    case 'year':
      return iso.slice(0, -'-01-01T00:00:00.000Z'.length);
    case 'week': {
      // 1 January 1970 was a Thursday, three days after a Monday.
      const week = Math.floor((Math.floor(wallMs / dayMs) + 3) / 7);
      return `week ${week}`;
    }
  }
}

function shifted(
  {wallOf, instantOf}: Zone,
  instantMs: number,
  {period: {years, months, days, hours}, sign}: {period: Period; sign: 1 | -1},
): number {
  const wall = new Date(wallOf(instantMs));
  const day = Date.UTC(
    wall.getUTCFullYear() + sign * years,
    wall.getUTCMonth() + sign * months,
    wall.getUTCDate() + sign * days,
  );
  return instantOf(day + (wall.getTime() % dayMs)) + sign * hours * hourMs;
}
