import {type KeepRules, type KeepSettings, rulesOf} from '../../backups/index.ts';
import {periodText} from '../../lib/period.ts';

/** The rule of each setting. KEEP_LAST is another word for KEEP_LATEST. */
export const keepSettingRules = {
  KEEP_LATEST: 'last',
  KEEP_LAST: 'last',
  KEEP_HOURLY: 'hourly',
  KEEP_DAILY: 'daily',
  KEEP_WEEKLY: 'weekly',
  KEEP_MONTHLY: 'monthly',
  KEEP_YEARLY: 'yearly',
  KEEP_WITHIN: 'within',
  KEEP_VERIFIED: 'verified',
} as const satisfies Record<string, keyof KeepRules>;

export type KeepKey = keyof typeof keepSettingRules;

export const isKeepKey = (key: string): key is KeepKey => Object.hasOwn(keepSettingRules, key);

/** The settings as a statement writes them: `KEEP_LATEST='7'`, `KEEP_WITHIN='3 days'`. */
export function keepTexts(settings: KeepSettings): readonly string[] {
  const rules = rulesOf(settings);
  return Object.entries(keepSettingRules).flatMap(([key, rule]) => {
    const value = rules[rule];
    if (key === 'KEEP_LAST' || value === undefined) return [];
    return [`${key}='${typeof value === 'number' ? value : periodText(value)}'`];
  });
}
