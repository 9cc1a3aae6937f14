import {parseBudget} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {splitChecks} from '../../query/index.ts';
import type {MergeMode} from '../../sources/index.ts';
import type {Setting} from '../../sql/index.ts';
import type {VerifyBudget, VerifyLevel} from '../../vault/index.ts';

/**
 * The value of ADOPT, the only setting of BACKUP: continue with this database although the earlier backups are
 * of another place.
 * @throws BkpError `BAD_REQUEST` for any other setting
 */
export function adoptValue(settings: readonly Setting[], statement: string, example: string): string | undefined {
  for (const {key} of settings) {
    if (key === 'ADOPT') continue;
    throw new BkpError('BAD_REQUEST', `${key} is not a setting of ${statement}`, {
      next: `write WITH (ADOPT='${example}')`,
    });
  }
  return settings.at(-1)?.value;
}

/** ADOPT of `BACKUP c`. @throws BkpError `BAD_REQUEST` */
export function isAdopting(settings: readonly Setting[]): boolean {
  const value = adoptValue(settings, 'BACKUP', 'true')?.toLowerCase();
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw new BkpError('BAD_REQUEST', `ADOPT cannot be '${value}'`, {next: "write ADOPT='true', or leave it out"});
}

/** What VERIFY does: the vault checks the store for the first two levels; the others also restore the backup. */
export type VerifyWish = {
  level: VerifyLevel | 'restore' | 'source';
  queries: readonly string[];
  /** Absent: everything is read. */
  budget?: VerifyBudget;
  /** The store that has intact copies: `true` is the profile's other store. Absent: damage is only reported. */
  heal?: string;
};

const levels = ['structure', 'data', 'restore', 'source'] as const;

/**
 * The settings of VERIFY; `data` by default.
 * @param split of CHECK_SQL into queries
 * @throws BkpError `BAD_REQUEST` | `SYNTAX`
 */
export function verifyWish(settings: readonly Setting[], split = splitChecks): VerifyWish {
  const wish: {-readonly [Field in keyof VerifyWish]: VerifyWish[Field]} = {level: 'data', queries: []};
  for (const {key, value} of settings) {
    if (key === 'LEVEL') wish.level = levelValue(value);
    else if (key === 'CHECK_SQL') wish.queries = split(value);
    else if (key === 'BUDGET') wish.budget = parseBudget(key, value);
    else if (key === 'HEAL' && value.toLowerCase() !== 'false') wish.heal = value;
    else if (key === 'HEAL') continue;
    else {
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of VERIFY`, {
        next: "the settings are LEVEL, BUDGET, HEAL and CHECK_SQL: WITH (LEVEL='structure')",
      });
    }
  }
  if (wish.budget !== undefined && wish.level !== 'data') {
    throw new BkpError('BAD_REQUEST', "BUDGET needs LEVEL='data'", {
      cause: 'it limits how much of the data is read',
      next: "write WITH (BUDGET='10 GiB'), or leave BUDGET out",
    });
  }
  if (wish.heal !== undefined && wish.level !== 'data' && wish.level !== 'structure') {
    throw new BkpError('BAD_REQUEST', `HEAL does not go with LEVEL='${wish.level}'`, {
      next: "write WITH (HEAL='true'): it verifies the data, and repairs it",
    });
  }
  if (wish.queries.length === 0 || wish.level === 'restore') return wish;
  throw new BkpError('BAD_REQUEST', "CHECK_SQL needs LEVEL='restore'", {
    cause: 'its queries run in the restored database',
    next: "write WITH (LEVEL='restore', CHECK_SQL='…')",
  });
}

/**
 * The settings of VERIFY DATABASE. CHECK_SQL is one text: who splits it must know the database system.
 * @throws BkpError `BAD_REQUEST`
 */
export function databaseWish(
  settings: readonly Setting[],
): Omit<VerifyWish, 'level' | 'queries'> & ({level: VerifyLevel} | {level: 'restore'; queries: string | undefined}) {
  const {level, queries, ...extent} = verifyWish(settings, (text) => [text]);
  if (level === 'restore') return {level, queries: queries[0]};
  if (level !== 'source') return {level, ...extent};
  throw new BkpError('BAD_REQUEST', "LEVEL='source' is for collections", {
    cause: 'a backup of a whole database has no change tracking to be compared with',
    next: "VERIFY DATABASE WITH (LEVEL='restore') restores the newest backup, and checks it",
  });
}

function levelValue(value: string): VerifyWish['level'] {
  const level = levels.find((word) => word === value.toLowerCase());
  if (level !== undefined) return level;
  throw new BkpError('BAD_REQUEST', `LEVEL cannot be '${value}'`, {
    next: "write LEVEL='structure', LEVEL='data', LEVEL='restore' or LEVEL='source'",
  });
}

/** What WITH of RESTORE sets; absent: as the configuration has it. */
export type RestoreSettings = {
  check?: 'quick' | 'full';
  /** Change the rows of tables that exist. */
  mode?: MergeMode;
  dryRun?: boolean;
  partial?: boolean;
};

/** @throws BkpError `BAD_REQUEST` */
export function restoreSettings(settings: readonly Setting[]): RestoreSettings {
  const found: RestoreSettings = {};
  for (const {key, value} of settings) {
    if (key === 'CHECK') found.check = oneOf(key, value, ['quick', 'full']);
    else if (key === 'MODE') found.mode = oneOf(key, value, ['merge', 'replace']);
    else if (key === 'PARTIAL') found.partial = oneOf(key, value, ['true', 'false']) === 'true';
    else if (key === 'DRY_RUN') found.dryRun = oneOf(key, value, ['true', 'false']) === 'true';
    else {
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of RESTORE`, {
        next: "the settings are CHECK, MODE, DRY_RUN and PARTIAL: WITH (DRY_RUN='true')",
      });
    }
  }
  return found;
}

/** What WITH of RESTORE DATABASE sets. @throws BkpError `BAD_REQUEST` */
export function databaseRestoreSettings(settings: readonly Setting[]): {dryRun: boolean; partial: boolean} {
  const found = {dryRun: false, partial: false};
  for (const {key, value} of settings) {
    if (key === 'DRY_RUN') found.dryRun = oneOf(key, value, ['true', 'false']) === 'true';
    else if (key === 'PARTIAL') found.partial = oneOf(key, value, ['true', 'false']) === 'true';
    else {
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of RESTORE DATABASE`, {
        next: "the settings are DRY_RUN and PARTIAL: WITH (DRY_RUN='true')",
      });
    }
  }
  return found;
}

/** DRY_RUN, the only setting of DROP. @throws BkpError `BAD_REQUEST` */
export function isDryRun(settings: readonly Setting[], statement: string): boolean {
  let dryRun = false;
  for (const {key, value} of settings) {
    if (key !== 'DRY_RUN') {
      throw new BkpError('BAD_REQUEST', `${key} is not a setting of ${statement}`, {
        next: "write WITH (DRY_RUN='true')",
      });
    }
    dryRun = oneOf(key, value, ['true', 'false']) === 'true';
  }
  return dryRun;
}

function oneOf<Value extends string>(key: string, written: string, values: readonly Value[]): Value {
  const value = values.find((each) => each === written.toLowerCase());
  if (value !== undefined) return value;
  throw new BkpError('BAD_REQUEST', `${key} cannot be '${written}'`, {
    next: `write ${values.map((each) => `${key}='${each}'`).join(' or ')}`,
  });
}
