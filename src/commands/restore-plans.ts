import type {TimeEstimate} from '../app/statements/restore-time.ts';
import type {RestorePlan} from '../collections/index.ts';
import type {DatabaseRestorePlan} from '../database/index.ts';
import {formatBytes, formatCount, formatDuration} from '../lib/figures.ts';
import {wrap} from '../lib/wrap.ts';
import {type RowFormat, renderRows} from '../ui/index.ts';

/** Notices wrap here, so that a plan can be read in a terminal of 80 columns. */
const columns = 80;
/** Longer lists of tables belong into a program: `--format json` has all of them. */
const mostTables = 40;

export type ShownPlan = {plan: RestorePlan; estimate?: TimeEstimate | undefined};

/** Whether nothing prevents the restore, as far as is known. */
export function isPossible({obstacle, space}: RestorePlan): boolean {
  return obstacle === undefined && (space === undefined || space.freeBytes >= space.neededBytes);
}

export function isDatabasePossible({inTheWay, freeBytes, neededBytes}: DatabaseRestorePlan): boolean {
  return inTheWay === undefined && (freeBytes === undefined || freeBytes >= neededBytes);
}

export function renderRestorePlan(shown: ShownPlan, format: RowFormat): string {
  return format === 'json' ? `${JSON.stringify(planJson(shown))}\n` : planText(shown);
}

function planJson({plan, estimate}: ShownPlan) {
  const {collection, backup, takenAt, target, tables, objects, bytes, space, obstacle, details} = plan;
  return {
    collection,
    backup,
    taken_at: takenAt,
    target,
    tables: tables.map(({name, as, rows, isExact, bytes, brings}) => {
      return {table: name, as, rows, rows_exact: isExact, bytes, brings};
    }),
    objects,
    bytes,
    fetch_bytes: details?.fetchBytes ?? null,
    needed_bytes: space?.neededBytes ?? null,
    free_bytes: space?.freeBytes ?? null,
    space_at: space?.place ?? null,
    missing: details?.missing ?? [],
    notices: details?.notices ?? [],
    in_the_way: obstacle === undefined ? null : {message: obstacle.message, next: obstacle.next ?? null},
    seconds: estimate?.seconds ?? null,
    seconds_from_restores: estimate?.restores ?? 0,
    possible: isPossible(plan),
  };
}

function planText({plan, estimate}: ShownPlan): string {
  const {collection, backup, takenAt, target, tables, objects, bytes, obstacle, details} = plan;
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const exactly = tables.every(({isExact}) => isExact) ? '' : 'at most ';
  const least = details?.missing.length ? 'at least ' : '';
  const fetch = details === undefined ? '' : `, ${least}${formatBytes(details.fetchBytes)} to fetch`;
  const facts: [string, string | undefined][] = [
    ['backup', `${collection}/${backup}, taken ${takenAt}`],
    ['into', target],
    [
      'restores',
      `${formatCount(tables.length, 'table')}, ${exactly}${formatCount(rows, 'row')}, ${formatBytes(bytes)}${fetch}`,
    ],
    ['objects', objects.length === 0 ? undefined : objects.join(', ')],
    ['space', spaceText(plan)],
    ['time', timeText(estimate)],
    ['in the way', obstacle?.message],
    ['next', obstacle?.next],
  ];
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  const lines = facts.flatMap(([name, text]) => {
    if (text === undefined) return [];
    return wrap(text, columns - width).map((line, at) => (at === 0 ? name : '').padEnd(width) + line);
  });
  const notices = (details?.notices ?? []).flatMap((notice) =>
    wrap(notice, columns - 2).map((line, at) => (at === 0 ? '- ' : '  ') + line),
  );
  return [...lines, '', tablesText(plan).trimEnd(), ...(notices.length === 0 ? [] : ['', ...notices]), ''].join('\n');
}

function spaceText({space}: RestorePlan): string {
  if (space === undefined) return 'unknown';
  const {neededBytes, freeBytes, place} = space;
  const verdict = freeBytes < neededBytes ? ': not enough' : '';
  return `about ${formatBytes(neededBytes)} needed, ${formatBytes(freeBytes)} free in ${place}${verdict}`;
}

function timeText(estimate: TimeEstimate | undefined): string {
  if (estimate === undefined) return 'unknown: no restore of a collection has ended in this home yet';
  const by = estimate.restores === 1 ? 'the last restore' : `the last ${estimate.restores} restores`;
  return `about ${formatDuration(estimate.seconds)}, judged by ${by}`;
}

function tablesText({tables}: RestorePlan): string {
  const isRenamed = tables.some(({name, as}) => name !== as);
  const shown = tables.slice(0, mostTables);
  const text = renderRows(
    ['table', ...(isRenamed ? ['as'] : []), 'rows', 'size', 'with'],
    shown.map(({name, as, rows, isExact, bytes, brings}) => [
      name,
      ...(isRenamed ? [as] : []),
      `${isExact ? '' : '≤ '}${formatCount(rows)}`,
      formatBytes(bytes),
      brings,
    ]),
    'pretty',
  );
  const more = tables.length - shown.length;
  return more === 0 ? text : `${text}… and ${formatCount(more, 'more table')}: --format json lists all\n`;
}
