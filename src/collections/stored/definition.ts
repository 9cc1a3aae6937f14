import * as v from 'valibot';
import {type KeepSettings, parseBudget, storedKeepSchema} from '../../backups/index.ts';
import {count, name, text, time} from '../../lib/schema.ts';
import {openSchedule} from '../../schedule/index.ts';
import type {BackupName} from './names.ts';

/** Which of the two stores of a profile holds the backups: the cluster directory, or the object store. */
export type Storage = 'cluster' | 's3';

/** Without a rule that keeps backups (`keepLatest`, `keep`), all stay. */
export type CollectionSettings = KeepSettings & {
  storage: Storage;
  incremental: boolean;
  omitIndexes: boolean;
  /** Cron line: when `bkp scheduler` takes a backup. */
  schedule?: string;
  /** Cron line: when that backup is a full one. */
  scheduleFull?: string;
  /** Cron line: when `bkp scheduler` verifies the backups. */
  scheduleVerify?: string;
  /** BUDGET of that verification, as written; absent: everything is read. */
  verifyBudget?: string;
  /** Cron line: when the newest backup is restored on trial. */
  scheduleDrill?: string;
  /** Time zone of all lines, and of the days, weeks and months of `keep`; absent: UTC. */
  scheduleZone?: string;
};

/** `except`: tables that stay out, with the tables behind them; absent if there are none. */
export type CollectionMembers =
  | {kind: 'tables'; tables: readonly string[]}
  | {kind: 'database'; except?: readonly string[]};

/**
 * The lowest version whose readers remove no more and back up no more than the definition allows: 2 with `keep`, 3 with
 * `except`. Older readers refuse it, so that they do not clean up by KEEP_LATEST alone, and do not back up what is
 * excepted.
 */
export type DefinitionVersion = 1 | 2 | 3;
export const newestDefinition: DefinitionVersion = 3;

/** One generation of a collection's definition, as the vault stores it. */
export type Definition = {
  version: DefinitionVersion;
  /** Random, chosen by CREATE: a collection that is created again under an old name is a different one. */
  id: string;
  name: string;
  generation: number;
  createdAt: string;
  members: CollectionMembers;
  settings: CollectionSettings;
  /** Set by DROP in the last generation: what the cleanup still has to remove. */
  dropped?: {at: string; backups: readonly BackupName[]};
};

const isCronLine = (line: string) => isAccepted(() => openSchedule(line));
const isZone = (zone: string) => isAccepted(() => openSchedule('0 0 * * *', zone));
const isBudget = (budget: string) => isAccepted(() => parseBudget('VERIFY_BUDGET', budget));
const cronLine = v.pipe(text, v.check(isCronLine, 'Invalid cron line'));

export const definitionSchema = v.object({
  version: v.picklist([1, 2, 3]),
  id: name,
  name,
  generation: v.pipe(count, v.minValue(1)),
  createdAt: time,
  members: v.variant('kind', [
    v.object({kind: v.literal('tables'), tables: v.array(name)}),
    v.object({kind: v.literal('database'), except: v.exactOptional(v.pipe(v.array(name), v.nonEmpty()))}),
  ]),
  settings: v.object({
    storage: v.picklist(['cluster', 's3']),
    incremental: v.boolean(),
    omitIndexes: v.boolean(),
    keepLatest: v.exactOptional(v.pipe(count, v.minValue(1))),
    keep: v.exactOptional(storedKeepSchema),
    schedule: v.exactOptional(cronLine),
    scheduleFull: v.exactOptional(cronLine),
    scheduleVerify: v.exactOptional(cronLine),
    verifyBudget: v.exactOptional(v.pipe(text, v.check(isBudget, 'Invalid budget'))),
    scheduleDrill: v.exactOptional(cronLine),
    scheduleZone: v.exactOptional(v.pipe(text, v.check(isZone, 'Invalid time zone'))),
  }),
  // Not checked as names: an older bkp may have accepted others, and a name without a backup has no effect.
  dropped: v.exactOptional(
    v.object({at: time, backups: v.array(v.custom<BackupName>((value) => typeof value === 'string'))}),
  ),
});

/** The version that a definition with these members must have. What a dropped collection had does not matter. */
export function definitionVersion({
  members,
  settings,
  dropped,
}: Pick<Definition, 'members' | 'settings' | 'dropped'>): DefinitionVersion {
  if (dropped !== undefined) return 1;
  if (members.kind === 'database' && members.except !== undefined) return 3;
  return settings.keep === undefined ? 1 : 2;
}

function isAccepted(use: () => unknown): boolean {
  try {
    use();
    return true;
  } catch {
    return false;
  }
}
