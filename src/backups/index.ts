export {tellIfNamedAhead} from './named-ahead.ts';
export {parsedDocument, readBody} from './read-body.ts';
export {retainedNotice} from './retained-notice.ts';
export {unlessDamaged, unlessUnreadable} from './unless-damaged.ts';
export {waitForCollector} from './wait-for-collector.ts';
export {type Meter, startMeter, type WorkProgress, type WorkTools} from './work.ts';
