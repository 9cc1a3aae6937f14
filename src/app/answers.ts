import type {BackupSummary, CollectionSummary, Storage} from '../collections/index.ts';
import {formatBytes} from '../lib/figures.ts';
import {type Operation, operationId} from '../ops/index.ts';
import type {Answer as Selected} from '../query/index.ts';
import {type Cell, type RowFormat, renderRows} from '../ui/index.ts';

/** Columns in order; `bytes` are shown with a unit to people and as numbers to programs. */
export type ResultRows = {
  columns: readonly {name: string; bytes?: true}[];
  rows: readonly (readonly Cell[])[];
};

export function renderAnswer({columns, rows}: ResultRows, format: RowFormat): string {
  const shown = (cell: Cell, at: number) =>
    format === 'pretty' && columns[at]!.bytes && typeof cell === 'number' ? formatBytes(cell) : cell;
  return renderRows(
    columns.map((column) => column.name),
    rows.map((row) => row.map(shown)),
    format,
  );
}

/** What a statement that starts an operation answers, at once. */
export function startedRow(operation: Operation, backup?: string): ResultRows {
  const id = operationId(operation);
  if (backup === undefined) return {columns: [{name: 'operation_id'}], rows: [[id]]};
  return {columns: [{name: 'operation_id'}, {name: 'backup'}], rows: [[id, backup]]};
}

/** As SQLite answered it: whoever selects bytes may have added them up, so no column is shown in units. */
export function selectedRows({columns, rows}: Selected): ResultRows {
  return {columns: columns.map((name) => ({name})), rows};
}

/** A collection, and which store it lies in. */
export type StoredCollection = CollectionSummary & {storage: Storage};

export function collectionRows(collections: readonly StoredCollection[]): ResultRows {
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

export function membersText({members}: CollectionSummary): string | null {
  if (members === undefined) return null;
  return members.kind === 'database' ? 'DATABASE' : members.tables.join(', ');
}

/**
 * `rows`, `deleted` and `logical_bytes` are this backup's own; `added_bytes` is what it cost the store, and
 * `restore_bytes` what a restore of it reads, the backups before it in the chain included.
 */
export function backupRows(backups: readonly BackupSummary[]): ResultRows {
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
