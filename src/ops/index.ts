export {silentElsewhereMinutes} from './dead-workers.ts';
export {
  type Heartbeat,
  type HeartbeatEvents,
  type StartHeartbeat,
  startHeartbeat,
  type ThreadHeartbeat,
} from './heartbeat.ts';
export {type Journal, type JournalOptions, type OperationPage, openJournal} from './journal.ts';
export * from './kinds.ts';
export {type OperationLog, openLog, openLogFile} from './log-file.ts';
export * from './operation.ts';
export {failure} from './outcome.ts';
export {defaultPageSize, largestPageSize, parsePageToken} from './paging.ts';
export * from './reading.ts';
export {type OperationEvent, type RunOptions, runOperation, type SignalSource} from './run-operation.ts';
export {type DetachedOptions, type SpawnOptions, spawnWorker, startDetached} from './spawn-worker.ts';
export {watchForStandstill} from './standstill.ts';
export * from './subject.ts';
export {type WaitOptions, waitFor} from './wait-for.ts';
