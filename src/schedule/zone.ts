import {BkpError} from '../errors/index.ts';

// Local (wall) time is represented as if it were UTC: 02:30 in Berlin is the number that Date.UTC returns for 02:30.

const dayMs = 86_400_000;

/** Conversion between instants and the local time of a zone. All values are milliseconds since 1970. */
export type Zone = {
  wallOf(instantMs: number): number;
  /**
   * For a time that does not exist, the first instant after the gap; for one that occurs twice, the first of the two.
   */
  instantOf(wallMs: number): number;
};

/** Without the tables of Intl: to load them takes 14 ms, twice for each backup with a rule of retention. */
const utc: Zone = {wallOf: (instantMs) => instantMs, instantOf: (wallMs) => wallMs};

/**
 * @param name an IANA name (`Europe/Berlin`) or `UTC`, in any case
 * @throws BkpError `BAD_REQUEST`
 */
export function openZone(name: string): Zone {
  if (name.toUpperCase() === 'UTC') return utc;
  const format = formatFor(name);
  const wallOf = (instantMs: number): number => {
    const part: Record<string, number> = {};
    for (const {type, value} of format.formatToParts(instantMs)) part[type] = Number(value);
    const whole = Date.UTC(part.year!, part.month! - 1, part.day, part.hour, part.minute, part.second);
    return whole + (((instantMs % 1000) + 1000) % 1000);
  };
  const offsetAt = (instantMs: number) => wallOf(instantMs) - instantMs;
  return {
    wallOf,
    instantOf(wallMs) {
      // No zone changes its clock twice within two days.
      const [before, after] = [wallMs - dayMs, wallMs + dayMs];
      const offsets = [offsetAt(before), offsetAt(after)];
      const fits = offsets.map((offset) => wallMs - offset).filter((instant) => wallOf(instant) === wallMs);
      return fits.length > 0 ? Math.min(...fits) : changeBetween(before, after, offsetAt);
    },
  };
}

/** The first instant with a different offset. */
function changeBetween(fromMs: number, toMs: number, offsetAt: (instantMs: number) => number): number {
  const old = offsetAt(fromMs);
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle) === old) low = middle;
    else high = middle;
  }
  return high;
}

function formatFor(name: string): Intl.DateTimeFormat {
  try {
    // Intl also accepts +02:00, which has no daylight saving time and is rarely what the user means.
    if (!/^[a-z]/i.test(name)) throw new RangeError(`${name} is not the name of a zone`);
    return new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new BkpError('BAD_REQUEST', `there is no time zone '${name}'`, {
      cause,
      next: 'write UTC, or a name of the IANA list such as Europe/Berlin',
    });
  }
}
