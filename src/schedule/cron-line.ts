import {Cron} from 'croner';
import {BkpError} from '../errors/index.ts';

// croner parses the five fields and finds the days; tested with its version 11. It accepts more than bkp documents
// (?, +, LW, @daily, a single date, seconds); that is refused here. Its time zones are not used: around a clock
// change it treats lines with a * in minute or hour differently, and skips or repeats runs.

const monthNames = 'JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC';
const dayNames = 'SUN|MON|TUE|WED|THU|FRI|SAT';

type Field = {what: string; accepts: RegExp; says: string};

const numbers = '(?:\\*|\\d+-\\d+)(?:/\\d+)?|\\d+';
const named = (names: string) => `(?:\\*|(?:\\d+|${names})-(?:\\d+|${names}))(?:/\\d+)?|\\d+|${names}`;
const listOf = (item: string) => new RegExp(`^(?:${item})(?:,(?:${item}))*$`, 'i');

const fields: readonly Field[] = [
  {what: 'minute', accepts: listOf(numbers), says: '0-59'},
  {what: 'hour', accepts: listOf(numbers), says: '0-23'},
  {
    what: 'day of month',
    accepts: listOf(`${numbers}|\\d+W|L`),
    says: '1-31, L for the last day, 15W for the weekday nearest to the 15th',
  },
  {what: 'month', accepts: listOf(named(monthNames)), says: '1-12 or JAN-DEC'},
  {
    what: 'day of week',
    accepts: listOf(`${named(dayNames)}|(?:\\d|${dayNames})L|(?:\\d|${dayNames})#\\d`),
    says: '0-7 or SUN-SAT (0 and 7 are Sunday), 5L for the last Friday, 5#3 for the third',
  },
];

/** The times of a cron line in local time, independent of a zone. */
export type CronLine = {
  /** The first later time, in milliseconds as if it were UTC; undefined: there is none within about a century. */
  nextWall(afterWallMs: number): number | undefined;
};

/** @throws BkpError `BAD_REQUEST` that names the invalid field, or when no day matches */
export function parseCronLine(text: string): CronLine {
  const words = text.trim().split(/\s+/);
  if (words.length !== fields.length) {
    throw refusal(
      text,
      `it has ${words.length} fields instead of five`,
      'minute, hour, day of month, month and day of week',
    );
  }
  for (const [at, {what, accepts, says}] of fields.entries()) {
    if (!accepts.test(words[at]!))
      throw refusal(text, `the ${what} cannot be ${words[at]}`, `${what}: ${says}; with , - and /`);
  }
  const cron = read(text, words.join(' '));
  const nextWall = (afterWallMs: number) => cron.nextRun(new Date(afterWallMs))?.getTime();
  if (nextWall(Date.UTC(2000, 0, 1)) === undefined)
    throw refusal(text, 'no year has such a day', 'check the day and the month');
  return {nextWall};
}

function read(text: string, line: string): Cron {
  try {
    return new Cron(line, {mode: '5-part', timezone: 'UTC', paused: true});
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    throw refusal(text, why, fields.map(({what, says}) => `${what} ${says}`).join('; '));
  }
}

function refusal(text: string, why: string, accepted: string): BkpError {
  return new BkpError('BAD_REQUEST', `'${text}' is not a cron line`, {
    cause: why,
    next: `a line is five fields, such as 0 2 * * * for every night at two; ${accepted}`,
  });
}
