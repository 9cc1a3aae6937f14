import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {type KeepMatch, type KeepRules, matchRules} from '../../../src/backups/keep/index.ts';
import type {Period} from '../../../src/lib/period.ts';
import {openCalendar} from '../../../src/schedule/index.ts';

// What `restic forget` kept of random series of snapshots, recorded by test/fixtures/restic-forget/record.ts.

type Recorded = {
  at: string;
  zones: {
    zone: string;
    newestFirst: string[];
    /** Positions in `newestFirst`. */
    cases: {backups: number[]; rules: Record<string, number | string>; kept: number[]}[];
  }[];
};

const file = join(import.meta.dirname, '../../fixtures/restic-forget/recorded.json');
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded;

function periodOf(text: string): Period {
  const of = (unit: string) => Number(RegExp(`(\\d+)${unit}`).exec(text)?.[1] ?? 0);
  return {years: of('y'), months: of('m'), days: of('d'), hours: of('h')};
}

/** restic keeps the offset of the newest snapshot for the time before it; bkp's days are those of the zone. */
function borders(newestMs: number, {years, months, days, hours}: Period, zone: string): [number, number] {
  const date = new Date(newestMs + offsetMs(newestMs, zone));
  const wall = Date.UTC(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  const restic = wall + (date.getTime() % 86_400_000) - hours * 3_600_000 - offsetMs(newestMs, zone);
  const own = openCalendar(zone).before(newestMs, {years, months, days, hours});
  return [Math.min(restic, own), Math.max(restic, own)];
}

function offsetMs(ms: number, zone: string): number {
  const format = new Intl.DateTimeFormat('sv-SE', {timeZone: zone, dateStyle: 'short', timeStyle: 'medium'});
  return Date.parse(`${format.format(ms).replace(' ', 'T')}Z`) - Math.floor(ms / 1000) * 1000;
}

test.each(recorded.zones)('of every series in $zone the rules keep what restic keeps', ({zone, newestFirst, cases}) => {
  const nowMs = Date.parse(recorded.at);
  const times = newestFirst.map((text) => Date.parse(text));
  let [excused, oldest] = [0, 0];
  for (const {backups, rules: given, kept} of cases) {
    const {within, ...counts} = given as {within?: string} & Record<string, number>;
    const period = within === undefined ? undefined : periodOf(within);
    const rules: KeepRules = {...counts, ...(period === undefined ? {} : {within: period})};
    const own = backups.map((at) => times[at]!);
    const matches = matchRules(own, rules, {calendar: openCalendar(zone), nowMs});
    // Unlike 0.16 and later, this version does not keep the oldest snapshot while a rule has not found enough.
    const isOldest = (match: KeepMatch) => match.rule !== 'within' && match.isOldest;
    const found = backups.filter((_, at) => matches[at]!.some((match) => !isOldest(match)));
    oldest += backups.filter((_, at) => matches[at]!.length > 0 && matches[at]!.every(isOldest)).length;
    const differing = backups.filter((at) => found.includes(at) !== kept.includes(at));
    if (differing.length === 0) continue;
    // Only the change of the clock may matter, and by no more than its hour.
    expect(period, `${zone}: ${JSON.stringify(given)} of ${backups}`).toBeDefined();
    const newest = own.find((ms) => ms <= nowMs)!;
    const [from, to] = borders(newest, period!, zone);
    expect(to - from).toBeLessThanOrEqual(3_600_000);
    for (const at of differing) {
      expect(times[at], JSON.stringify({given, backups, kept, found})).toBeGreaterThanOrEqual(from);
      expect(times[at]).toBeLessThanOrEqual(to);
      excused += 1;
    }
  }
  expect(cases.length).toBeGreaterThan(20);
  expect(excused).toBeLessThan(cases.length / 5);
  expect(oldest).toBeGreaterThan(0);
});
