export {
  type DatabaseBackupReport,
  type DatabaseBackupRequest,
  type DatabaseBackupTools,
  takeDatabaseBackup,
} from './backup/backup.ts';
export {findInstance, presentDatabase} from './backup/find-instance.ts';
export {planDatabaseBackup} from './backup/plan.ts';
export {
  type DatabaseDrillReport,
  type DatabaseDrillRequest,
  type DatabaseDrillTools,
  databaseDrillBytes,
  drillDatabase,
} from './care/drill.ts';
export {dropDatabaseBackup, planDropDatabaseBackup} from './care/drop.ts';
export {type DatabasePinTools, pinDatabaseBackup, unpinDatabaseBackup} from './care/pin.ts';
export {listDatabaseReports, type StoredDatabaseReport} from './care/reports.ts';
export {
  applyRetention,
  type DatabaseKeep,
  type DatabaseRetentionPlan,
  type DatabaseVerdict,
  planDatabaseRetention,
  type RetentionReport,
} from './care/retention.ts';
export {
  type DatabaseVerifyReport,
  type DatabaseVerifyRequest,
  verifyDatabaseBackups,
} from './care/verify.ts';
export {restoreIntactTables} from './restore/partial.ts';
export {type DatabaseRestorePlan, type DatabaseRestoreRequest, planDatabaseRestore} from './restore/plan.ts';
export {type DatabaseRestoreReport, restoreDatabase} from './restore/restore.ts';
export {findDatabaseBackup, pickInstance} from './stored/find.ts';
export {type Instance, listInstances} from './stored/instance.ts';
export type {DatabaseBackup, DatabaseBackupBody} from './stored/manifest.ts';
export {backupMicros, type DatabaseBackupName, isInstanceName} from './stored/names.ts';
export {type DatabaseBackupSummary, listDatabaseBackups} from './views/list.ts';
export {type DatabaseStanding, databaseStandings} from './views/standing.ts';
