import {parseTimestamp, secondsText} from '../../lib/time.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {Cell, RowFormat} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';
import {printedTable} from '../tables.ts';
import {localTime} from './next.ts';

/** `tz` defaults to UTC, `from` (as typed) to now. */
export type ScheduleTryOptions = {
  cron: string;
  tz?: string | undefined;
  from?: string | undefined;
  count: number;
  format: RowFormat;
};

/** Shows the times of a cron line that is not set anywhere. */
export async function runScheduleTry(
  deps: CommandDeps,
  {cron, tz = 'UTC', from, ...options}: ScheduleTryOptions,
): Promise<void> {
  const schedule = openSchedule(cron, tz);
  const rows: Cell[][] = [];
  let at = (from === undefined ? deps.nowMicros() : parseTimestamp(from)) / 1000;
  while (rows.length < options.count) {
    const moment = schedule.next(Math.floor(at));
    if (moment === undefined) break;
    rows.push([secondsText(moment * 1000), `${localTime(moment, tz)} ${tz}`]);
    at = moment;
  }
  deps.stdout.write(printedTable({columns: [{name: 'at'}, {name: 'local_time'}], rows}, options.format));
}
