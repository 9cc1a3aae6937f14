export {type BackupReport, type BackupRequest, takeBackup} from './backup/backup.ts';
export {isDatabaseOf, type NamedDatabase, type PresentDatabase, presentDatabase} from './backup/belongs.ts';
export {needsFull} from './backup/chain.ts';
export type {FoldLimits} from './backup/fold.ts';
export {leftBehind, missingTables, wholeTables} from './backup/members.ts';
export {type PlannedBackup, planBackup, planWantedBackup, whyFull} from './backup/plan.ts';
export {
  type CleanupDrop,
  type CleanupPlan,
  type CleanupReport,
  type CleanupRetention,
  cleanUp,
  planCleanup,
} from './care/cleanup.ts';
export {compareWithSource, planCompare, requireLog} from './care/compare.ts';
export {type DrillRequest, drill, drillBytes, isDrilledInFile, planDrill} from './care/drill.ts';
export {planDropBackup, planDropCollection} from './care/drop-backup.ts';
export {keepReplaced} from './care/keep-replaced.ts';
export {type PinRequest, type PinTools, pinBackup, unpinBackup} from './care/pin.ts';
export {listReports, type StoredReport} from './care/reports.ts';
export {collectionsWithRetention, planRetention, type RetentionPlan} from './care/retention.ts';
export {planVerify, type VerifyReport, type VerifyRequest, verifyBackups} from './care/verify.ts';
export {type CopyRequest, copyCollection} from './copy/copy.ts';
export type {CopyReport} from './copy/one-backup.ts';
export {planCopy} from './copy/plan.ts';
export {alterCollection, createCollection, type DefineTools, type Dropped, dropCollection} from './define/define.ts';
export {storageOf} from './define/settings.ts';
export {type DiffTools, diffTables, type TableDifference} from './diff/diff.ts';
export {liveAfter} from './diff/live.ts';
export type {After} from './diff/side.ts';
export {storedAfter} from './diff/stored.ts';
export {bytesOf, createScratch, loadTables, segmentsFor, type TableToRead} from './read/load.ts';
export {findTable, labelOf, nameAmong, type OpenedBackup, openBackup, requireTable} from './read/opened.ts';
export {
  type PlannedTable,
  planRestore,
  type RestorePlan,
  type RestoreWish,
  requirePossible,
} from './restore/plan.ts';
export {type RestoreReport, type RestoreRequest, restoreBackup} from './restore/restore.ts';
export type {CollectionMembers, Definition, Storage} from './stored/definition.ts';
export {type CollectionFolder, hasCollection, isLiving, readAllFolders} from './stored/folder.ts';
export {asFull, type BackupName, type BackupType} from './stored/names.ts';
export {type BackupSummary, type CollectionSummary, listBackups, listCollections} from './views/overview.ts';
export {type BackupPlan, listScheduled, nextTimes, type ScheduledCollection} from './views/scheduled.ts';
export {type CollectionStanding, collectionStandings} from './views/standing.ts';
