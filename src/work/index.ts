export {unlessDamaged} from './unless-damaged.ts';
export {waitForCollector} from './wait-for-collector.ts';
export {type Meter, startMeter, type WorkProgress, type WorkTools} from './work.ts';
