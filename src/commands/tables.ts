import {membersText, type StoredCollection} from '../app/places/all-collections.ts';
import type {StatementResult} from '../app/statements/result.ts';
import {pinUntil} from '../backups/index.ts';
import type {BackupSummary} from '../collections/index.ts';
import {backupMicros, type DatabaseRestorePlan} from '../database/index.ts';
import {unreachable} from '../errors/index.ts';
import {formatBytes} from '../lib/figures.ts';
import {microsText} from '../lib/time.ts';
import {backupOf, type Operation, operationId} from '../ops/index.ts';
import {type Cell, type RowFormat, renderRows} from '../ui/index.ts';
import type {CommandDeps} from './deps.ts';

/**
 * Columns in order; `bytes` are shown with a unit to people and as numbers to programs. A narrow terminal lacks those
 * with `spare`, the lowest first. Only programs get those `forPrograms`.
 */
export type Table = {
  columns: readonly {name: string; bytes?: true; spare?: number; forPrograms?: true}[];
  rows: readonly (readonly Cell[])[];
};

/** @param stdout the terminal that the table has to fit, if it is one */
export function printedTable(
  {columns: all, rows: allRows}: Table,
  format: RowFormat,
  stdout?: Pick<CommandDeps['stdout'], 'isTTY' | 'columns'>,
): string {
  const kept = [...all.keys()].filter((at) => format === 'json' || !all[at]!.forPrograms);
  const columns = kept.map((at) => all[at]!);
  const rows = allRows.map((row) => kept.map((at) => row[at] ?? null));
  const shown = (cell: Cell, at: number) =>
    format === 'pretty' && columns[at]!.bytes && typeof cell === 'number' ? formatBytes(cell) : cell;
  return renderRows(
    columns.map((column) => column.name),
    rows.map((row) => row.map(shown)),
    format,
    {terminalColumns: stdout?.isTTY ? stdout.columns : undefined, spare: spareIn(columns)},
  );
}

const spareIn = (columns: Table['columns']) =>
  [...columns.keys()]
    .filter((at) => columns[at]!.spare !== undefined)
    .sort((a, b) => columns[a]!.spare! - columns[b]!.spare!);

/** What a statement prints: its rows, else the operation that it started. A plan of a restore is no table. */
export function tableOf({rows, operation}: StatementResult): Table | undefined {
  switch (rows?.kind) {
    case undefined:
      return operation === undefined ? undefined : startedTable(operation);
    case 'collections':
      return collectionTable(rows.collections);
    case 'backups':
      return backupTable(rows.backups);
    case 'restore-plan':
      return undefined;
    case 'database-restore-plan':
      return databasePlanTable(rows.plan);
    case 'pin':
      return {
        columns: [{name: 'backup'}, {name: 'pinned_until'}, {name: 'reason'}],
        rows: [[rows.backup, rows.until ?? null, rows.reason ?? null]],
      };
    case 'removal':
      return {
        columns: [{name: 'backup'}, {name: 'freed_bytes', bytes: true}],
        rows: rows.rows.map(({backup, freedBytes}) => [backup, freedBytes ?? null]),
      };
    case 'abort':
      return {columns: [{name: 'status'}, {name: 'backup_id'}], rows: [[rows.status, rows.backup ?? null]]};
    case 'selection': {
      const {columns, rows: selected} = rows.selection;
      // No column has a unit: the statement may have added bytes up.
      return {columns: columns.map((name) => ({name})), rows: selected};
    }
    default:
      return unreachable(rows);
  }
}

/** BACKUP DATABASE has the one column that QuestDB Enterprise prints. */
function startedTable(operation: Operation): Table {
  const backup = backupOf(operation) ?? null;
  if (operation.kind === 'dbbackup') return {columns: [{name: 'backup_timestamp'}], rows: [[backup]]};
  const id = operationId(operation);
  if (operation.backup === undefined) return {columns: [{name: 'operation_id'}], rows: [[id]]};
  return {columns: [{name: 'operation_id'}, {name: 'backup'}], rows: [[id, backup]]};
}

function collectionTable(collections: readonly StoredCollection[]): Table {
  const withError = collections.some((collection) => collection.error !== undefined);
  return {
    columns: [
      {name: 'collection'},
      // The settings have it too.
      {name: 'storage', spare: 1},
      {name: 'backups'},
      {name: 'newest'},
      {name: 'stored_bytes', bytes: true},
      {name: 'tables'},
      {name: 'settings'},
      ...(withError ? [{name: 'error'}] : []),
    ],
    rows: collections.map((collection) => [
      collection.name,
      collection.storage,
      collection.backups,
      collection.newest ?? null,
      collection.storedBytes,
      membersText(collection),
      collection.settings ?? null,
      ...(withError ? [collection.error ?? null] : []),
    ]),
  };
}

/**
 * `rows`, `deleted` and `logical_bytes` are this backup's own; `added_bytes` is what it cost the store, and
 * `restore_bytes` what a restore of it reads, the backups before it in the chain included.
 */
function backupTable(backups: readonly BackupSummary[]): Table {
  const withError = backups.some((backup) => backup.error !== undefined);
  const withPin = backups.some((backup) => backup.pin !== undefined);
  return {
    columns: [
      {name: 'backup'},
      // The name has the kind and, nearly always, the time.
      {name: 'kind', spare: 1},
      {name: 'taken_at', spare: 2},
      {name: 'tables', spare: 4},
      {name: 'rows'},
      {name: 'deleted', spare: 5},
      {name: 'logical_bytes', bytes: true, spare: 3},
      {name: 'added_bytes', bytes: true},
      {name: 'restore_bytes', bytes: true, spare: 6},
      {name: 'verified', spare: 7},
      ...(withPin ? [{name: 'pin'}] : []),
      ...(withError ? [{name: 'error'}] : []),
    ],
    rows: backups.map((backup) => [
      backup.name,
      backup.type,
      backup.takenAt,
      backup.tables ?? null,
      backup.rows ?? null,
      backup.deletedRows ?? null,
      backup.logicalBytes ?? null,
      backup.addedBytes ?? null,
      backup.restoreBytes ?? null,
      backup.verifiedAt ?? null,
      ...(withPin ? [backup.pin === undefined ? null : pinUntil(backup.pin)] : []),
      ...(withError ? [backup.error ?? null] : []),
    ]),
  };
}

/** One row: what a restore would do, and what blocks it. */
function databasePlanTable(plan: DatabaseRestorePlan): Table {
  const cells = {
    instance: plan.instance,
    backup_timestamp: microsText(backupMicros(plan.backup)),
    moment: microsText(plan.takenAtMicros),
    product: `${plan.database.product} ${plan.database.version}`,
    tables: plan.database.tables.length,
    files: plan.files,
    restore_bytes: plan.logicalBytes,
    fetch_bytes: plan.fetchBytes ?? null,
    needed_bytes: plan.neededBytes,
    free_bytes: plan.freeBytes ?? null,
    in_the_way: plan.inTheWay ?? null,
    // Only of a partial restore.
    ...(plan.missing === undefined ? {} : {missing: plan.missing.map(({name, why}) => `${name}: ${why}`).join('; ')}),
  };
  return {
    columns: Object.keys(cells).map((name) => (name.endsWith('_bytes') ? {name, bytes: true as const} : {name})),
    rows: [Object.values(cells)],
  };
}
