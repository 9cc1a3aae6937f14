import {BkpError} from '../errors/index.ts';

// A time on the wall of a zone is kept as if it were UTC: 02:30 in Berlin is the number that Date.UTC gives for 02:30.

const dayMs = 86_400_000;

/** What the clocks of one time zone show. Milliseconds since 1970 throughout. */
export type Zone = {
  wallOf(instantMs: number): number;
  /** A time that does not exist: the first instant after the gap. One that exists twice: the first of the two. */
  instantOf(wallMs: number): number;
};

/**
 * @param name an IANA name (`Europe/Berlin`) or `UTC`, in any case
 * @throws BkpError `BAD_REQUEST`
 */
export function openZone(name: string): Zone {
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

/** The first instant at which the offset is another one. */
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
    // Intl takes +02:00 too, which knows no summer time and is hardly what anybody means.
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
