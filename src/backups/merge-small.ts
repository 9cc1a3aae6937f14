import {BkpError} from '../errors/index.ts';
import type {Vault, VaultWriter} from '../vault/index.ts';

/** A merge waits no longer for other backups: while it waits, none can begin. The next backup tries again. */
const waitMs = 1000;

/**
 * Merges small packs after a backup, when there are many. The backup exists already, so nothing here makes it fail.
 * @param writer the closed writer of the backup
 */
export async function mergeSmallPacks(
  {vault, notice}: {vault: Vault; notice: (text: string) => void},
  writer: Pick<VaultWriter, 'sawManySmallPacks'>,
  operation: string,
): Promise<void> {
  if (!writer.sawManySmallPacks) return;
  const given = AbortSignal.timeout(waitMs);
  try {
    const lease = {purpose: `merge of small packs after ${operation}`};
    const collector = await vault.collector(lease, {signal: given, waitMs: 0});
    try {
      await collector.mergeSmall();
    } finally {
      await collector.close();
    }
  } catch (error) {
    const isBkpError = error instanceof BkpError;
    if (!isBkpError && given.aborted) return;
    if (!isBkpError) throw error;
    if (error.code !== 'VAULT_LOCKED') notice(`the small packs of the store were not merged: ${error.message}`);
  }
}
