import type {Period} from '../../lib/period.ts';
import type {CalendarUnit} from '../../schedule/index.ts';

/** Which backups stay. Each rule keeps some, and a backup stays if any rule keeps it. Counts are 1 or more. */
export type KeepRules = {
  /** The newest n backups. */
  last?: number | undefined;
  /** The newest backup of each of the newest n hours, days, … that have a backup. */
  hourly?: number | undefined;
  daily?: number | undefined;
  weekly?: number | undefined;
  monthly?: number | undefined;
  yearly?: number | undefined;
  /** All backups of this time before the newest one. */
  within?: Period | undefined;
  /** The newest n backups of which everything was read intact. Only beside other rules. */
  verified?: number | undefined;
};

/** The rules that count, as KEEP_… names them, with the part of the calendar that they divide backups into. */
export const countingRules = [
  {rule: 'last', unit: undefined},
  {rule: 'hourly', unit: 'hour'},
  {rule: 'daily', unit: 'day'},
  {rule: 'weekly', unit: 'week'},
  {rule: 'monthly', unit: 'month'},
  {rule: 'yearly', unit: 'year'},
] as const satisfies readonly {rule: keyof KeepRules; unit: CalendarUnit | undefined}[];

export type CountingRule = (typeof countingRules)[number]['rule'] | 'verified';

/** Why a rule keeps a backup. */
export type KeepMatch =
  | {
      rule: CountingRule;
      /** The how manieth that the rule keeps, from 1. */
      position: number;
      of: number;
      /** Kept only because it is the oldest backup, and the rule has not found as many as it may keep. */
      isOldest: boolean;
    }
  | {rule: 'within'; period: Period};

/** False if no rule is set, or only `verified`: then every backup stays. */
export const hasRules = ({verified: _, ...rules}: KeepRules) =>
  Object.values(rules).some((value) => value !== undefined);
