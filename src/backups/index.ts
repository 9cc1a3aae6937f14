export {type Meter, startMeter} from './meter.ts';
export {tellIfNamedAhead} from './named-ahead.ts';
export {readDocument, readManifest} from './read-manifest.ts';
export {newestReadable, unlessDamaged, unlessUnreadable} from './readable.ts';
export {retainedNotice} from './retained-notice.ts';
export {type LineStanding, lineStanding, type Standing, standingOf} from './standing.ts';
export type {WorkProgress, WorkTools} from './tools.ts';
export {waitForCollector} from './wait-for-collector.ts';
