export type {Answer} from './answer.ts';
export type {BackupTable} from './backup-tables.ts';
export {
  type Catalogue,
  type ColumnType,
  defineView,
  type OpenedTables,
  type RowOf,
  type Scalar,
  type Value,
  type View,
} from './catalogue.ts';
export {type CheckResult, checkedByServer, checkFile, splitChecks, splitForeignChecks} from './check-file.ts';
export type {SelectLimits} from './limits.ts';
export {runSelect, type SelectOptions} from './select.ts';
