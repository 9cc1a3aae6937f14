import {membersText, type StoredCollection} from '../app/places/all-collections.ts';
import type {StatementResult} from '../app/statements/result.ts';
import type {BackupSummary} from '../collections/index.ts';
import {unreachable} from '../errors/index.ts';
import {formatBytes} from '../lib/figures.ts';
import {type Operation, operationId} from '../ops/index.ts';
import {type Cell, type RowFormat, renderRows} from '../ui/index.ts';

/** Columns in order; `bytes` are shown with a unit to people and as numbers to programs. */
export type Table = {
  columns: readonly {name: string; bytes?: true}[];
  rows: readonly (readonly Cell[])[];
};

export function printedTable({columns, rows}: Table, format: RowFormat): string {
  const shown = (cell: Cell, at: number) =>
    format === 'pretty' && columns[at]!.bytes && typeof cell === 'number' ? formatBytes(cell) : cell;
  return renderRows(
    columns.map((column) => column.name),
    rows.map((row) => row.map(shown)),
    format,
  );
}

/** What a statement prints: its rows, else the operation that it started. */
export function tableOf({rows, operation}: StatementResult): Table | undefined {
  switch (rows?.kind) {
    case undefined:
      return operation === undefined ? undefined : startedTable(operation);
    case 'collections':
      return collectionTable(rows.collections);
    case 'backups':
      return backupTable(rows.backups);
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
  const {kind, backup} = operation;
  if (kind === 'dbbackup') return {columns: [{name: 'backup_timestamp'}], rows: [[backup ?? null]]};
  const id = operationId(operation);
  if (backup === undefined) return {columns: [{name: 'operation_id'}], rows: [[id]]};
  return {columns: [{name: 'operation_id'}, {name: 'backup'}], rows: [[id, backup]]};
}

function collectionTable(collections: readonly StoredCollection[]): Table {
  const withError = collections.some((collection) => collection.error !== undefined);
  return {
    columns: [
      {name: 'collection'},
      {name: 'storage'},
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
  return {
    columns: [
      {name: 'backup'},
      {name: 'kind'},
      {name: 'taken_at'},
      {name: 'tables'},
      {name: 'rows'},
      {name: 'deleted'},
      {name: 'logical_bytes', bytes: true},
      {name: 'added_bytes', bytes: true},
      {name: 'restore_bytes', bytes: true},
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
      ...(withError ? [backup.error ?? null] : []),
    ]),
  };
}
