export {
  type DatabaseBackupReport,
  type DatabaseBackupRequest,
  type DatabaseBackupTools,
  planDatabaseBackup,
  takeDatabaseBackup,
} from './backup.ts';
export {type DatabaseBackupSummary, findDatabaseBackup, listDatabaseBackups} from './find.ts';
export {findInstance, type Instance, listInstances, presentDatabase} from './instance.ts';
export type {DatabaseBackup, DatabaseBackupBody} from './manifest.ts';
export {backupMicros, type DatabaseBackupName, isInstanceName, timestampText} from './names.ts';
export {type DatabaseRestoreReport, restoreDatabase} from './restore.ts';
export {type DatabaseRestorePlan, type DatabaseRestoreRequest, planDatabaseRestore} from './restore-plan.ts';
export {
  applyRetention,
  planRetention,
  type RetentionPlan,
  type RetentionReport,
  type RetentionVerdict,
} from './retention.ts';
export {type DatabaseStanding, databaseStandings} from './standing.ts';
export {
  type DatabaseVerifyReport,
  type DatabaseVerifyRequest,
  verifyDatabaseBackups,
} from './verify.ts';
