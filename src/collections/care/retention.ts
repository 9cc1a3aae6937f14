import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type Survey, type VaultReader} from '../../vault/index.ts';
import {readAllFolders, requireCollection} from '../stored/folder.ts';
import {readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

// What KEEP_LATEST means. It counts backups, not chains: a manifest names all that its restore needs, so any backup can go
// without hurting another, and the newest one, which the next increment goes on from, always stays. A backup counts when its
// manifest is there, which is written last, and all that it needs is, as far as that is known without reading it. As long as one
// that would be counted is damaged nothing goes: the older ones may be all that is left to restore. When enough newer ones have
// been taken, the damaged one goes like any other.

/** What retention does with one backup, and why. */
export type RetentionVerdict = {backup: BackupName; goes: boolean; why: string};

/** A value, made before anything is removed. */
export type RetentionPlan = {
  collection: string;
  /** Absent: everything stays. */
  keepLatest?: number;
  /** Newest first. */
  verdicts: readonly RetentionVerdict[];
  /** A backup that is counted on is damaged: nothing goes. */
  damage?: BkpError;
};

export type RetentionOptions = {
  /** @returns the id of an operation that reads the backup just now */
  readerOf?: (backup: BackupName) => string | undefined;
};

/** How many backups KEEP_LATEST has too many. */
export function countBeyond(keepLatest: number | undefined, backups: number): number {
  return keepLatest === undefined ? 0 : Math.max(0, backups - keepLatest);
}

/** @throws BkpError `COLLECTION_NOT_FOUND` | `OBJECT_DAMAGED` when the definition, and with it KEEP_LATEST, cannot be read */
export async function planRetention(
  vault: VaultReader,
  collection: string,
  {readerOf = () => undefined}: RetentionOptions = {},
): Promise<RetentionPlan> {
  const {definition, backups} = await requireCollection(vault, collection);
  const {keepLatest} = definition.settings;
  const newestFirst = backups.toReversed();
  if (keepLatest === undefined) {
    const verdicts = newestFirst.map((backup) => ({backup, goes: false, why: 'the collection has no KEEP_LATEST'}));
    return {collection, verdicts};
  }
  const damaged = new Map<BackupName, BkpError>();
  if (newestFirst.length > keepLatest) {
    const survey = await vault.survey();
    for (const backup of newestFirst.slice(0, keepLatest)) {
      const error = await damageOf(vault, survey, {collection, backup});
      if (error !== undefined) damaged.set(backup, error);
    }
  }
  const [first] = damaged;
  const verdicts = newestFirst.map((backup, at): RetentionVerdict => {
    if (damaged.has(backup)) return {backup, goes: false, why: 'it is damaged: see VERIFY'};
    if (at === keepLatest - 1)
      return {backup, goes: false, why: `one of the newest ${keepLatest}, until the next backup`};
    if (at < keepLatest) return {backup, goes: false, why: `one of the newest ${keepLatest}`};
    if (first !== undefined) return {backup, goes: false, why: `${first[0]}, which is newer, is damaged`};
    const reader = readerOf(backup);
    if (reader !== undefined) return {backup, goes: false, why: `${reader} reads it`};
    return {backup, goes: true, why: `not one of the newest ${keepLatest}`};
  });
  const damage = first === undefined ? {} : {damage: nothingGoes({collection, keepLatest}, first[1], first[0])};
  return {collection, keepLatest, verdicts, ...damage};
}

/** Why nothing is removed when something that stays is damaged. */
export function nothingGoes(
  {collection, keepLatest}: Pick<RetentionPlan, 'collection' | 'keepLatest'>,
  cause: BkpError,
  backup?: BackupName,
) {
  const newest = `one of the newest ${keepLatest}`;
  const damaged = backup === undefined ? newest : `${backup}, ${newest},`;
  return new BkpError('OBJECT_DAMAGED', `no backup of ${collection} was removed: ${damaged} is damaged`, {
    cause,
    next: `VERIFY ${quoteName(collection)} names the damage; BACKUP ${quoteName(collection)} takes a whole one, and the damaged one goes when it is not among the newest any more`,
    context: {collection},
  });
}

async function damageOf(
  vault: VaultReader,
  survey: Survey,
  {collection, backup}: {collection: string; backup: BackupName},
): Promise<BkpError | undefined> {
  try {
    return await survey.faultOf((await readBackup(vault, collection, backup)).streams);
  } catch (error) {
    if (isDamage(error)) return error;
    throw error;
  }
}

/** Names of the living collections that have KEEP_LATEST. */
export async function collectionsWithRetention(vault: VaultReader): Promise<readonly string[]> {
  const folders = await readAllFolders(vault);
  return folders.flatMap(({newest}) =>
    newest === undefined || newest.dropped !== undefined || newest.settings.keepLatest === undefined
      ? []
      : [newest.name],
  );
}
