export {leastBudgetBytes, parseBudget} from './budget.ts';
export {type CoverageFigures, coverageFigures} from './coverage.ts';
export {attemptRestore, drillFaults, recordDrill} from './drill.ts';
export {type DrillFacts, drillFacts} from './drill-facts.ts';
export {freedBytes, type Removal, removeBackup, requireUnread} from './drop.ts';
export {goneError, goneLabel, goneText, goneTexts} from './gone.ts';
export {type HealTools, heal} from './heal.ts';
export {
  hasRules,
  type KeepMatch,
  type KeepRules,
  type KeepSettings,
  keepWords,
  matchWords,
  rulesOf,
  type StoredKeep,
  storedKeepSchema,
} from './keep/index.ts';
export {isoText, type KeptReport, keepReport} from './keep-report.ts';
export {lastingReports} from './lasting-reports.ts';
export {type ManifestShape, manifestOrPinned, readDocument, readManifest, writtenManifest} from './manifests.ts';
export {mergeSmallPacks} from './merge-small.ts';
export {type Meter, startMeter} from './meter.ts';
export {noticeIfNamedAhead} from './named-ahead.ts';
export {orphanReports, removeOrphanReports} from './orphan-reports.ts';
export {
  commitPin,
  isInForce,
  nextPinGeneration,
  type Pin,
  type PinObject,
  parsePinKey,
  pinUntil,
  putUnpinned,
  readPins,
  removeEndedPins,
} from './pins/index.ts';
export {newestReadable, unlessUnreadable} from './readable.ts';
export {freeSpace, removeManifests} from './removal.ts';
export {
  type DraftReport,
  type Report,
  type ReportAuthor,
  type ReportedCheck,
  type ReportedTable,
  type ReportFacts,
  type ReportId,
  type ReportLevel,
  readReport,
  reportFacts,
  reportsPrefix,
} from './report.ts';
export {
  decideRetention,
  keptByRules,
  type RetentionCandidate,
  type RetentionDecision,
  type RetentionHealth,
  type RetentionReason,
  type RetentionRule,
  type RetentionVerdict,
  toVerdict,
} from './retention.ts';
export {type LineStanding, lineStanding, readsAtOnce, type Standing, standingOf} from './standing.ts';
export {partOf, type WorkProgress, type WorkTools} from './tools.ts';
export {type ChunkUses, readableChunkIds} from './uses.ts';
export {type Heal, type Verified, type VerifyExtent, verifyEach} from './verify.ts';
export {waitForCollector} from './wait-for-collector.ts';
