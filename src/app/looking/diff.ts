import {
  type After,
  diffTables,
  findTable,
  liveAfter,
  nameAmong,
  type OpenedBackup,
  openBackup,
  requireTable,
  storedAfter,
  type TableDifference,
} from '../../collections/index.ts';
import {hasReplaced, replacedNotices} from '../../lib/replaced-text.ts';
import type {RowChange} from '../../sources/index.ts';
import type {Deps} from '../deps.ts';
import {openScratchFolder} from '../places/scratch-folder.ts';
import {withSource} from '../places/source-places.ts';
import type {Workplace} from '../places/workplace.ts';
import {interruptible, type NamedBackup, plainTable, refOf, withBackup} from './opening.ts';
import {shownBy} from './progress.ts';

export type DiffRequest = {
  before: NamedBackup;
  /** A backup of the same collection; absent: the database now. */
  after?: string | undefined;
  /** Empty: all. */
  tables: readonly string[];
};

/** @param rows receives the rows that differ */
export function diff(
  deps: Deps,
  request: DiffRequest,
  report: {table: (difference: TableDifference) => void; rows?: (table: string, change: RowChange) => Promise<void>},
): Promise<void> {
  return interruptible(deps, 'the comparison', () =>
    withBackup(deps, request.before, (before, place) =>
      withAfter(deps, {before, place, point: request.after}, async (after) => {
        const folder = openScratchFolder(deps);
        try {
          const tables = request.tables.length === 0 ? undefined : namesOf(before, after, request.tables);
          const tools = {...folder, signal: deps.signal, progress: shownBy(deps)};
          const each = report.rows;
          let replaced = 0;
          const rows = async (table: string, changes: Iterable<RowChange>) => {
            for (const change of changes) {
              deps.signal.throwIfAborted();
              const values = change.kind === 'changed' ? [change.before, change.row] : [change.row];
              if (hasReplaced(values.flatMap((row) => [...row.values()]))) replaced++;
              await each?.(table, change);
            }
          };
          for await (const difference of diffTables(tools, {before, after, tables}, each && rows)) {
            deps.showProgress?.(undefined);
            report.table(difference);
          }
          for (const notice of replacedNotices(replaced)) deps.warn(notice);
        } finally {
          folder.remove();
        }
      }),
    ),
  );
}

async function withAfter<T>(
  deps: Deps,
  {before, place, point}: {before: OpenedBackup; place: Workplace; point: string | undefined},
  use: (after: After) => Promise<T>,
): Promise<T> {
  const {signal} = deps;
  const {vault, collection} = before;
  if (point !== undefined) {
    const other = await openBackup(vault, refOf(deps, {collection, point}));
    return use(storedAfter(other, before, signal));
  }
  return withSource(deps, place, async (source) => {
    const after = await liveAfter(before, {source, signal});
    try {
      return await use(after);
    } finally {
      await after.close();
    }
  });
}

/** The tables in the spelling of the side that has them. @throws BkpError `TABLE_NOT_FOUND` */
function namesOf(before: OpenedBackup, after: After, tables: readonly string[]): ReadonlySet<string> {
  return new Set(
    tables.map((written) => {
      const name = plainTable(written);
      const found = findTable(before, name)?.schema.name;
      const other = nameAmong([...after.tables.keys()], name);
      return found ?? other ?? requireTable(before, name).schema.name;
    }),
  );
}
