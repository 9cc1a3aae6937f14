import {parseCronLine} from './cron-line.ts';
import {openZone} from './zone.ts';

/** A cron line in a time zone. */
export type Schedule = {
  /** The first moment that is later than `afterMs`; both are milliseconds since 1970. Undefined: none comes any more. */
  next(afterMs: number): number | undefined;
};

/**
 * Five fields: minute, hour, day of month, month, day of week. When both day fields are restricted, either one matching is enough.
 * A local time that a change of the clock leaves out comes at the first instant after the gap; one that exists twice comes once, at
 * the first.
 * @param zone an IANA name; default UTC
 * @throws BkpError `BAD_REQUEST` for a line or a zone that is none
 */
export function openSchedule(line: string, zone = 'UTC'): Schedule {
  const cron = parseCronLine(line);
  const {wallOf, instantOf} = openZone(zone);
  return {
    next(afterMs) {
      // Later on the wall is never earlier in time; but in an hour that comes twice it may be before `afterMs`.
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
