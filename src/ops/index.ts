export * from './journal.ts';
export * from './kinds.ts';
export * from './operation.ts';
export * from './outcome.ts';
export * from './paging.ts';
export * from './processes.ts';
