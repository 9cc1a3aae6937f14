import {parseCronLine} from './cron-line.ts';
import {openZone} from './zone.ts';

export {type Calendar, type CalendarUnit, openCalendar} from './calendar.ts';

/** A cron line in a time zone. */
export type Schedule = {
  /** The first time after `afterMs`, both in milliseconds since 1970. Undefined: there is none. */
  next(afterMs: number): number | undefined;
};

/**
 * Five fields: minute, hour, day of month, month, day of week. When both day fields are restricted, a day that
 * matches either of them is enough. A local time that a clock change skips is moved to the first instant after the
 * gap; a local time that occurs twice counts once, at the first.
 * @param zone an IANA name; default UTC
 * @throws BkpError `BAD_REQUEST` for an invalid line or zone
 */
export function openSchedule(line: string, zone = 'UTC'): Schedule {
  const cron = parseCronLine(line);
  const {wallOf, instantOf} = openZone(zone);
  return {
    next(afterMs) {
      // A later local time is never an earlier instant; but in an hour that occurs twice it may be before `afterMs`.
      let wall = cron.nextWall(wallOf(afterMs));
      while (wall !== undefined) {
        const instant = instantOf(wall);
        if (instant > afterMs) return instant;
        wall = cron.nextWall(wall);
      }
      return undefined;
    },
  };
}
