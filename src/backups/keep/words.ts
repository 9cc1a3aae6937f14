import {periodText} from '../../lib/period.ts';
import type {CountingRule, KeepMatch} from './rules.ts';

const nouns: Readonly<Record<CountingRule, string>> = {
  last: 'newest',
  hourly: 'hour',
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
  yearly: 'year',
  verified: 'verified',
};

/** `newest 1 of 7, day 1 of 14, oldest, as week 3 of 8, within 3 days`: how the rules count the backup. */
export function matchWords(matches: readonly KeepMatch[]): string {
  return matches
    .map((match) => {
      if (match.rule === 'within') return `within ${periodText(match.period)}`;
      const {rule, position, of, isOldest} = match;
      return isOldest ? `oldest, as ${nouns[rule]} ${position} of ${of}` : `${nouns[rule]} ${position} of ${of}`;
    })
    .join(', ');
}

/** The rules as `bkp retention plan --format json` prints them: `last`, `daily`, `within`. */
export const keepWords = (matches: readonly KeepMatch[]): readonly string[] => matches.map(({rule}) => rule);
