import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import {unlessDamaged, type VaultReader} from '../../vault/index.ts';
import {findBackup} from '../stored/find.ts';
import {type CollectionFolder, readFolder, requireCollection} from '../stored/folder.ts';
import {readBackup} from '../stored/manifest.ts';
import type {BackupName} from '../stored/names.ts';
import {requireSameCollection} from './target.ts';

/**
 * `backup`: the only one to copy; absent: all of them.
 * `nothing`: why there is nothing to copy, as a sentence; absent if there is, or may be.
 */
export type CopyPlan = {backup?: BackupName | undefined; nothing?: string};

/**
 * Refuses what can be refused before any work starts.
 * @param request.isHome statements about the collection use the target, and `from` has the collection too: it
 *   was copied from one to the other, and nothing shows in which direction. If the target has everything that
 *   `from` has, the plan names the direction that the copy would have taken.
 */
export async function planCopy(
  {from, to}: {from: VaultReader; to: VaultReader},
  request: {collection: string; point: string | undefined; isHome?: boolean | undefined},
): Promise<CopyPlan> {
  const {collection, point, isHome = false} = request;
  const live = await requireCollection(from, collection);
  if (from.id === to.id) {
    throw new BkpError('BAD_REQUEST', `collection ${collection} is in that store already`, {
      cause: `${from.location} and ${to.location} are one vault`,
      next: "name another store: TO 's3', TO 'cluster', or an address",
    });
  }
  if (live.backups.length === 0) {
    throw new BkpError('BAD_REQUEST', `Nothing to copy: collection ${collection} has no backups`, {
      next: `BACKUP ${quoteName(collection)}`,
    });
  }
  const folder = await readFolder(to, collection);
  await requireSameCollection(live.definition, folder, to);
  const backup = point === undefined ? undefined : await findBackup(from, {collection, backups: live.backups, point});
  const wanted = backup === undefined ? live.backups : [backup];
  if (isHome && (await hasAll(to, folder, wanted))) {
    const what = backup === undefined ? `every backup of ${collection}` : `backup ${collection}/${backup}`;
    return {nothing: `nothing to copy from ${from.location}: ${to.location} already has ${what}, complete`};
  }
  return {backup};
}

async function hasAll(
  to: VaultReader,
  {name: collection, damage, backups}: CollectionFolder,
  wanted: readonly BackupName[],
): Promise<boolean> {
  if (damage !== undefined || !wanted.every((name) => backups.includes(name))) return false;
  const survey = await to.survey();
  for (const name of wanted) {
    const existing = await unlessDamaged(readBackup(to, collection, name));
    if (existing === undefined || (await survey.faultOf(existing.streams)) !== undefined) return false;
  }
  return true;
}
