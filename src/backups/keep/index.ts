export {matchRules} from './match.ts';
export {type CountingRule, countingRules, hasRules, type KeepMatch, type KeepRules} from './rules.ts';
export {type KeepSettings, rulesOf, type StoredKeep, storedKeepSchema} from './settings.ts';
export {keepWords, matchWords} from './words.ts';
