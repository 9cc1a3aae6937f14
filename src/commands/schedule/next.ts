import {type Moment, upcoming} from '../../app/schedules/decide.ts';
import {
  collectionOf,
  type Found,
  planOf,
  type Scheduled,
  scheduledOf,
  situationOf,
  taskOf,
} from '../../app/schedules/known.ts';
import {nothingRuns} from '../../app/schedules/runner.ts';
import {BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import {collectionName} from '../../sql/index.ts';
import type {Cell, RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable} from '../tables.ts';

export type ScheduleNextOptions = {collection?: string | undefined; count: number; format: RowFormat};

/** Uses the scheduler's own decision. */
export async function runScheduleNext(
  deps: CommandDeps,
  {collection, count, format}: ScheduleNextOptions,
): Promise<void> {
  const {scheduled, others} = await scheduledOf(deps);
  const wanted = collection === undefined ? scheduled : named(scheduled, others, collection);
  if (wanted.length === 0)
    deps.warn(
      'no collection has a SCHEDULE, and backup.schedule.cron is not set\n' +
        'next:  bkp sql "ALTER BACKUP COLLECTION … SET (SCHEDULE=\'0 2 * * *\')"',
    );
  for (const {collection: other} of collection === undefined ? others : []) {
    deps.warn(`${other.name} is skipped: its backups are of ${other.source?.description}, another database`);
  }
  const idle = wanted.length === 0 ? undefined : await nothingRuns(deps);
  if (idle !== undefined) deps.warn(`${idle.detail}. To run them: ${idle.next}`);
  const rows: Cell[][] = [];
  for (const one of wanted) rows.push(...(await rowsOf(deps, one, count)));
  const columns = ['collection', 'at', 'local_time', 'kind', 'note'].map((name) => ({name}));
  deps.stdout.write(printedTable({columns, rows}, format));
}

function named(scheduled: Found['scheduled'], others: Found['others'], text: string): readonly Scheduled[] {
  const name = collectionName({text, place: {line: 1, column: 1}});
  const found = [...scheduled, ...others].filter((one) => collectionOf(one)?.name === name);
  if (found.length > 0) return found;
  throw new BkpError('COLLECTION_NOT_FOUND', `there is no collection ${name} with a SCHEDULE`, {
    next: 'SHOW BACKUP COLLECTIONS shows the settings; ALTER BACKUP COLLECTION … SET (SCHEDULE=…) gives it one',
  });
}

async function rowsOf(deps: CommandDeps, scheduled: Scheduled, count: number): Promise<Cell[][]> {
  const {scheduleZone = 'UTC'} = planOf(scheduled);
  const collection = collectionOf(scheduled);
  const moments = upcoming(await situationOf(scheduled), Math.floor(deps.nowMicros() / 1000), count);
  return moments.map((moment) => [
    collection?.name ?? null,
    secondsText(moment.atMs * 1000),
    `${localTime(moment.atMs, scheduleZone)} ${scheduleZone}`,
    kindOf(scheduled, moment),
    noteOf(moment),
  ]);
}

function kindOf(scheduled: Scheduled, {take}: Moment): string {
  const task = taskOf(scheduled);
  if (task !== 'backup') return task;
  return collectionOf(scheduled) === undefined ? 'database' : take;
}

function noteOf({isMissed, isFirst}: Moment): string {
  if (isFirst) return 'no backup of it is known; taken when the scheduler runs';
  return isMissed ? 'missed: made up for when the scheduler runs' : '';
}

/** `Sun 2026-11-22 02:00`. */
export function localTime(atMs: number, timeZone: string): string {
  const day = new Intl.DateTimeFormat('en-US', {timeZone, weekday: 'short'}).format(atMs);
  // The Swedish format is that of ISO 8601.
  const time = new Intl.DateTimeFormat('sv-SE', {timeZone, dateStyle: 'short', timeStyle: 'short'}).format(atMs);
  return `${day} ${time}`;
}
