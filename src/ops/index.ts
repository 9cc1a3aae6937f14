export {type Journal, type JournalOptions, type OperationPage, openJournal} from './journal.ts';
export * from './kinds.ts';
export * from './operation.ts';
export {failure} from './outcome.ts';
export {defaultPageSize, largestPageSize, parsePageToken} from './paging.ts';
export * from './processes.ts';
export {type RunOptions, runOperation, type SignalSource} from './run-operation.ts';
export {type SpawnOptions, spawnWorker} from './spawn-worker.ts';
export {type WaitOptions, waitFor} from './wait-for.ts';
