import * as v from 'valibot';
import {readPeriod} from '../../lib/period.ts';
import {count, text} from '../../lib/schema.ts';
import type {KeepRules} from './rules.ts';

/** The rules beyond the newest n, as definitions and work orders store them; `within` as `3 days`. */
export type StoredKeep = {
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  within?: string;
  verified?: number;
};

const atLeastOne = v.exactOptional(v.pipe(count, v.minValue(1)));

export const storedKeepSchema = v.object({
  hourly: atLeastOne,
  daily: atLeastOne,
  weekly: atLeastOne,
  monthly: atLeastOne,
  yearly: atLeastOne,
  verified: atLeastOne,
  within: v.exactOptional(
    v.pipe(
      text,
      v.check((written) => readPeriod(written) !== undefined, 'Invalid period'),
    ),
  ),
});

/** The rules as settings: `keepLatest` is the rule `last`. */
export type KeepSettings = {keepLatest?: number; keep?: StoredKeep};

export function rulesOf({keepLatest, keep: {within, ...counts} = {}}: KeepSettings): KeepRules {
  return {
    ...counts,
    ...(keepLatest === undefined ? {} : {last: keepLatest}),
    ...(within === undefined ? {} : {within: readPeriod(within)!}),
  };
}
