import {readsAtOnce, unlessUnreadable} from '../../backups/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import type {VaultReader} from '../../vault/index.ts';
import {readBackup, takenAtMs} from './manifest.ts';
import {type BackupName, nameMs} from './names.ts';

/**
 * When each backup was taken, in milliseconds since 1970, in the order of `backups`. Of a manifest that cannot be read,
 * the time of the name.
 */
export async function takenTimes(
  vault: VaultReader,
  collection: string,
  backups: readonly BackupName[],
): Promise<readonly number[]> {
  const times: number[] = [];
  const read = mapConcurrent(backups, readsAtOnce, async (backup) => {
    const found = await unlessUnreadable(readBackup(vault, collection, backup));
    return found === undefined ? nameMs(backup) : takenAtMs(found.body);
  });
  for await (const takenMs of read) times.push(takenMs);
  return times;
}
