import {
  decideRetention,
  type RetentionReason,
  type RetentionVerdict,
  type Standing,
  toVerdict,
} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import type {VaultReader} from '../../vault/index.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders, requireCollection} from '../stored/folder.ts';
import type {Backup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';

/** A value, made before anything is removed. */
export type RetentionPlan = {
  collection: string;
  /** Absent: every backup stays. */
  keepLatest?: number;
  /** Newest first. */
  verdicts: readonly RetentionVerdict<BackupName>[];
  /** Why no backup goes: one of the newest is damaged. */
  damage?: BkpError;
};

export type RetentionOptions = {
  /** @returns the id of an operation that is reading the backup */
  readerOf?: ((backup: BackupName) => string | undefined) | undefined;
};

/**
 * Plans what KEEP_LATEST removes. The newest backup, which the next increment builds on, always stays. If one
 * of the newest KEEP_LATEST backups is damaged, no backup goes, because the older ones may be all that can
 * still be restored.
 * @throws BkpError `COLLECTION_NOT_FOUND` | `OBJECT_DAMAGED` if the definition, which contains KEEP_LATEST,
 *   cannot be read
 */
export async function planRetention(
  vault: VaultReader,
  collection: string,
  {readerOf = () => undefined}: RetentionOptions = {},
): Promise<RetentionPlan> {
  const {definition, backups} = await requireCollection(vault, collection);
  const {keepLatest} = definition.settings;
  const newestFirst = backups.toReversed();
  if (keepLatest === undefined) {
    const why = 'the collection has no KEEP_LATEST';
    return {collection, verdicts: newestFirst.map((backup) => ({backup, goes: false, why, counts: false}))};
  }
  const damaged =
    newestFirst.length > keepLatest
      ? await damagedOf(vault, collection, newestFirst.slice(0, keepLatest))
      : new Map<BackupName, BkpError>();
  const decisions = decideRetention(
    newestFirst.map((backup) => ({
      backup,
      health: damaged.has(backup) ? ('damaged' as const) : undefined,
      reader: readerOf(backup),
    })),
    {keepLatest, unsound: 'keep-all'},
  );
  const verdicts = decisions.map((decision) => toVerdict(decision, (reason) => inWords(reason, keepLatest)));
  const [first] = damaged;
  if (first === undefined) return {collection, keepLatest, verdicts};
  const [backup, cause] = first;
  return {collection, keepLatest, verdicts, damage: nothingGoes({collection, keepLatest}, cause, backup)};
}

/** @param backups newest first @throws what keeps a backup from being judged */
async function damagedOf(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
): Promise<ReadonlyMap<BackupName, BkpError>> {
  const survey = await vault.survey();
  const damaged = new Map<BackupName, BkpError>();
  for (const backup of backups) {
    const standing: Standing<Backup> = await examineBackup(vault, survey, {collection, backup});
    if (standing.state === 'damaged') damaged.set(backup, standing.fault);
    else if (standing.state !== 'sound') throw standing.fault;
  }
  return damaged;
}

function inWords(reason: RetentionReason<BackupName>, keepLatest: number): string {
  switch (reason.kind) {
    case 'counted': {
      const newest = `one of the newest ${keepLatest}`;
      return reason.position === keepLatest ? `${newest}, until the next backup` : newest;
    }
    case 'unsound':
      return 'it is damaged: see VERIFY';
    case 'blocked':
      return `${reason.by}, which is newer, is damaged`;
    case 'in-use':
      return `${reason.reader} reads it`;
    case 'outdated':
      return `not one of the newest ${keepLatest}`;
  }
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
    next:
      `VERIFY ${quoteName(collection)} names the damage; BACKUP ${quoteName(collection)} takes a sound one; ` +
      'the damaged one goes once it is no longer among the newest',
    context: {collection},
  });
}

/** Names of the living collections that have KEEP_LATEST. */
export async function collectionsWithRetention(vault: VaultReader): Promise<readonly string[]> {
  const folders = (await readAllFolders(vault)).filter(isLiving);
  return folders.filter(({newest}) => newest?.settings.keepLatest !== undefined).map(({name}) => name);
}
