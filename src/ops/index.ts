export {silentElsewhereMinutes} from './journal/dead-workers.ts';
export {type Journal, type JournalOptions, type OperationPage, openJournal} from './journal/journal.ts';
export {defaultPageSize, largestPageSize, parsePageToken} from './journal/paging.ts';
export {type WaitOptions, waitFor} from './journal/wait-for.ts';
export * from './kinds.ts';
export {type OperationLog, openLog, openLogFile} from './log-file.ts';
export * from './operation.ts';
export {failure} from './outcome.ts';
export * from './reading.ts';
export * from './subject.ts';
export {
  type Heartbeat,
  type HeartbeatEvents,
  type StartHeartbeat,
  startHeartbeat,
  type ThreadHeartbeat,
} from './worker/heartbeat.ts';
export {runAtLowPriority} from './worker/low-priority.ts';
export {type OperationEvent, type RunOptions, runOperation, type SignalSource} from './worker/run-operation.ts';
export {type SpawnOptions, spawnWorker} from './worker/spawn-worker.ts';
export {watchForStandstill} from './worker/standstill.ts';
export {type DetachedOptions, startDetached} from './worker/start-detached.ts';
export {awaitInput, WaitingWorker} from './worker/waiting-worker.ts';
