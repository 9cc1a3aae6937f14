import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {type BackupName, createCollection, planRetention} from '../../src/collections/index.ts';
import type {Setting} from '../../src/sql/index.ts';
import {openMemoryStore} from '../../src/stores/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {randomFrom} from '../helpers/random-from.ts';
import {seed} from '../seeds/seed.ts';

// Random histories of several hosts whose clocks jump, also across changes of daylight saving time and leap days. A
// model of the rules, made of the words of docs/sql.md and the system's calendar alone, says what stays.

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** In UTC, as if the local time were one. */
function wallOf(ms: number, zone: string): number {
  const text = new Intl.DateTimeFormat('sv-SE', {timeZone: zone, dateStyle: 'short', timeStyle: 'medium'}).format(ms);
  return Date.parse(`${text.replace(' ', 'T')}Z`);
}

function spanOf(unit: string, ms: number, zone: string): string {
  const wall = wallOf(ms, zone);
  const day = new Date(wall).toISOString();
  const thursday = wall + (4 - (new Date(wall).getUTCDay() || 7)) * dayMs;
  const spans: Record<string, string> = {
    ...{hourly: day.slice(0, 13), daily: day.slice(0, 10), monthly: day.slice(0, 7), yearly: day.slice(0, 4)},
    weekly: new Date(thursday).toISOString().slice(0, 10),
  };
  return spans[unit]!;
}

type Rules = {last?: number; within?: {days: number; hours: number}; [unit: string]: unknown};
type Taken = {name: BackupName; ms: number};

/** What the rules keep. @param oldestFirst in the order in which they were taken */
function modelOf(oldestFirst: readonly Taken[], rules: Rules, {nowMs, zone}: {nowMs: number; zone: string}) {
  const newestFirst = oldestFirst.toReversed();
  const kept = new Set<BackupName>();
  for (const {name} of newestFirst.slice(0, rules.last ?? 0)) kept.add(name);
  if (rules.last !== undefined && newestFirst.length < rules.last) kept.add(newestFirst.at(-1)!.name);
  for (const unit of ['hourly', 'daily', 'weekly', 'monthly', 'yearly']) {
    const most = rules[unit] as number | undefined;
    if (most === undefined) continue;
    const newest = new Map<string, BackupName>();
    for (const {name, ms} of newestFirst) {
      const span = spanOf(unit, ms, zone);
      if (!newest.has(span)) newest.set(span, name);
    }
    for (const name of [...newest.values()].slice(0, most)) kept.add(name);
    if (newest.size < most) kept.add(newestFirst.at(-1)!.name);
  }
  if (rules.within !== undefined) {
    const {days, hours} = rules.within;
    const newest = newestFirst.find(({ms}) => ms <= nowMs);
    for (const {name, ms} of newestFirst) {
      if (newest === undefined) kept.add(name);
      // The same local time that many days earlier; those that the change of a clock makes doubtful are not asked for.
      else if (wallOf(ms + hours * hourMs, zone) > wallOf(newest.ms, zone) - days * dayMs) kept.add(name);
    }
  }
  return oldestFirst.filter(({name}) => kept.has(name)).map(({name}) => name);
}

const words: Record<string, string> = {
  ...{hourly: 'KEEP_HOURLY', daily: 'KEEP_DAILY', weekly: 'KEEP_WEEKLY', monthly: 'KEEP_MONTHLY'},
  ...{yearly: 'KEEP_YEARLY', last: 'KEEP_LAST'},
};

function settingsOf({within, ...counts}: Rules, zone: string): Setting[] {
  const settings = Object.entries(counts).map(([rule, count]) => ({key: words[rule]!, value: String(count)}));
  if (within !== undefined) {
    const value = within.hours > 0 ? `${within.days} days ${within.hours} hours` : `${within.days} days`;
    settings.push({key: 'KEEP_WITHIN', value});
  }
  return [...settings, {key: 'SCHEDULE_TZ', value: zone}, {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}];
}

const begins = ['2027-03-26T20:00:00Z', '2027-10-29T20:00:00Z', '2028-02-27T20:00:00Z', '2027-12-29T20:00:00Z'];

test.each(Array.from({length: 4 * Number(process.env.BKP_TEST_RUNS ?? 1)}, (_, n) => seed + n))(
  'with clocks that jump, a cleanup keeps exactly what the rules say, and all of it can be restored: seed %d',
  async (seed) => {
    const random = randomFrom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const pick = <T>(some: readonly T[]) => some[below(some.length)]!;
    const folder = mkdtempSync(join(tmpdir(), 'bkp-clocks-'));
    onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
    const database = join(folder, 'app.db');
    const db = new DatabaseSync(database);
    onTestFinished(() => db.close());
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)');
    const rowsOf = (of: DatabaseSync) => of.prepare('SELECT id, at FROM t ORDER BY id').all();
    const zone = pick(['UTC', 'Europe/Berlin', 'America/New_York']);
    const rules: Rules = {};
    for (const rule of Object.keys(words)) if (below(3) === 0) rules[rule] = 1 + below(4);
    if (below(2) === 0 || Object.keys(rules).length === 0) rules.within = {days: 1 + below(4), hours: below(2) * 5};
    const memory = openMemoryStore();
    let trueMs = Date.parse(pick(begins));
    let errorMs = 0;
    const clockMs = () => trueMs + errorMs;
    const bench = inProcess({database, openStore: async () => memory, nowMicros: () => clockMs() * 1000});
    const definition = {name: 'c', members: {kind: 'database' as const}, settings: settingsOf(rules, zone)};
    await bench.vault((vault) =>
      createCollection(
        {vault, nowMicros: () => clockMs() * 1000, randomId: () => 'c'.repeat(32)},
        {...definition, ifNotExists: false},
      ),
    );
    let taken: Taken[] = [];
    const contents = new Map<BackupName, unknown[]>();
    const errors = [0, 0, 0, 0, -hourMs, hourMs, -dayMs, dayMs, 3650 * dayMs, -3650 * dayMs];
    for (let step = 0; step < 22; step++) {
      trueMs += pick([17 * minuteMs, hourMs, 9 * hourMs, dayMs, 31 * dayMs]);
      errorMs = pick(errors);
      db.exec(`INSERT INTO t (at) VALUES (${step}); DELETE FROM t WHERE id = ${below(step + 1)}`);
      const type = taken.length > 0 && below(4) > 0 ? 'incremental' : 'full';
      const name = await bench.backup('c', type);
      taken.push({name, ms: Math.floor(clockMs() / 1000) * 1000});
      contents.set(name, rowsOf(db));
      if (below(3) === 0) continue;
      // Possibly another host.
      errorMs = pick(errors);
      const context = `${JSON.stringify(rules)} in ${zone}, at ${new Date(clockMs()).toISOString()}, step ${step}`;
      const plan = await bench.vault((vault) => planRetention(vault, 'c', {nowMs: clockMs()}));
      const wanted = modelOf(taken, rules, {nowMs: clockMs(), zone});
      const planned = plan.verdicts.filter(({goes}) => !goes).map(({backup}) => backup);
      expect(planned.toReversed(), context).toEqual(wanted);
      await bench.cleanUp('c');
      expect(await bench.backups('c'), context).toEqual(wanted);
      taken = taken.filter(({name}) => wanted.includes(name));
    }
    for (const {name} of taken) {
      const target = join(folder, `${name}.db`);
      await bench.restore('c', target, name);
      const restored = new DatabaseSync(target, {readOnly: true});
      expect(rowsOf(restored), name).toEqual(contents.get(name));
      restored.close();
    }
    await bench.verify('c');
  },
  60_000,
);
