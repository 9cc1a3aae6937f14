import {BkpError} from '../errors/index.ts';
import type {Key} from '../stores/index.ts';
import type {Recipe, VaultCollector, VaultReader} from '../vault/index.ts';
import {isUnreadable} from './readable.ts';

/**
 * Removes the manifest of one backup, and with it the backup.
 * @throws BkpError `PRECONDITION` if the store's object lock protects the manifest: the backup then stays
 */
export async function removeBackup(collector: VaultCollector, manifest: Key, label: string): Promise<void> {
  const [locked] = await collector.remove([manifest]);
  if (locked === undefined) return;
  throw new BkpError('PRECONDITION', `${label} was not dropped: the store's object lock protects it`, {
    cause: `the lock of its manifest ends at ${new Date(locked.untilMs).toISOString()}`,
    next: 'drop it after that',
    context: {key: manifest},
  });
}

/** @throws BkpError `PRECONDITION` */
export function requireUnread(label: string, reader: string | undefined): void {
  if (reader === undefined) return;
  throw new BkpError('PRECONDITION', `${label} was not dropped: ${reader} reads it`, {
    next: `bkp operation wait ${reader}, or bkp operation cancel ${reader}`,
  });
}

/** A backup that a statement removes. */
export type Removal = {
  /** How users know it: `shop/20250215120000Z_full`. */
  label: string;
  /** Of its manifests: its own, and those of its pins. Some may not exist. */
  keys: readonly Key[];
};

/**
 * What removals would free, judged by the store's indexes: for each one, the bytes that it and those before it need and
 * no other manifest does. A cleanup frees a little less: it leaves packs of which more than half is needed as they are.
 * @returns undefined if a manifest cannot be read: a cleanup frees nothing then
 */
export async function freedBytes(
  vault: VaultReader,
  removals: readonly Removal[],
): Promise<readonly number[] | undefined> {
  const staying: Recipe[] = [];
  const going = new Map<Removal, Recipe[]>(removals.map((removal) => [removal, []]));
  const removalOf = new Map(removals.flatMap((removal) => removal.keys.map((key) => [key, removal])));
  try {
    for (const prefix of ['.backups/', 'backup/']) {
      for await (const key of vault.keys(prefix)) {
        if (!key.endsWith('/manifest')) continue;
        const {streams} = await vault.manifest(key);
        const removal = removalOf.get(key);
        (removal === undefined ? staying : going.get(removal)!).push(...streams);
      }
    }
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
  // A removal frees what those after it and all that stays do not need: count from the last one on.
  const [, ...added] = await vault.addedBytes([staying, ...[...going.values()].toReversed()]);
  return added.toReversed();
}
