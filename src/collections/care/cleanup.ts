import {freeSpace, removeManifests, type WorkTools, waitForCollector} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {Key} from '../../stores/index.ts';
import {isDamage, type Vault, type VaultCollector} from '../../vault/index.ts';
import {readAllFolders} from '../stored/folder.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';
import {nothingGoes, planRetention, type RetentionOptions} from './retention.ts';

export type CleanupReport = {freedBytes: number; backups: number};

/** The collection whose KEEP_LATEST is to be obeyed. */
export type CleanupRetention = RetentionOptions & {collection: string};

/**
 * Removes what KEEP_LATEST does not keep of one collection and what DROP has promised to remove, then what no manifest needs any
 * more. Waits for running backups to end; begun anew at any point after a crash, it ends the same.
 */
export async function cleanUp(
  tools: WorkTools & {vault: Vault},
  operation: string,
  retention?: CleanupRetention,
): Promise<CleanupReport> {
  const {vault} = tools;
  const collector = await waitForCollector(tools, operation);
  try {
    const expired = retention === undefined ? 0 : await removeOld(tools, collector, retention);
    const condemned = (await readAllFolders(vault)).map((folder) => folder.condemned);
    const manifests = condemned.flatMap((keys) => keys.manifests);
    // Manifests first: a definition that promises their removal may go only when they are gone.
    const staying = await removeManifests(tools, collector, manifests);
    for (const {manifests: promised, definitions} of condemned) {
      if (!promised.some((key) => staying.has(key))) await removeDefinitions(collector, definitions);
    }
    const freedBytes = await freeSpace(tools, collector);
    return {freedBytes, backups: expired + manifests.length - staying.size};
  } finally {
    await collector.close();
  }
}

/**
 * Looked at again under the exclusive lease: backups may have come or gone, and KEEP_LATEST may have been changed, since the
 * cleanup was asked for.
 * @returns how many went
 */
async function removeOld(
  tools: WorkTools & {vault: Vault},
  collector: VaultCollector,
  {collection, ...options}: CleanupRetention,
): Promise<number> {
  const plan = await planRetention(tools.vault, collection, options).catch((error: unknown) => {
    // Dropped since the backup: the cleanup of the drop has it all.
    if (error instanceof BkpError && error.code === 'COLLECTION_NOT_FOUND') return undefined;
    throw error;
  });
  if (plan === undefined) return 0;
  if (plan.damage !== undefined) throw plan.damage;
  const keyOf = ({backup}: {backup: BackupName}) => manifestKey(collection, backup);
  const toRemove = plan.verdicts.filter(({goes}) => goes);
  if (toRemove.length === 0) return 0;
  try {
    await collector.requireIntact(plan.verdicts.filter(({counts}) => counts).map(keyOf), {signal: tools.signal});
  } catch (error) {
    if (isDamage(error)) throw nothingGoes(plan, error);
    throw error;
  }
  tools.signal.throwIfAborted();
  const staying = await removeManifests(tools, collector, toRemove.map(keyOf));
  const gone = toRemove.filter((verdict) => !staying.has(keyOf(verdict))).map(({backup}) => backup);
  if (gone.length > 0) tools.notice(`removed by KEEP_LATEST='${plan.keepLatest}': ${gone.join(', ')}`);
  return gone.length;
}

/** The newest last, and only when the older ones are gone: without it, a dropped collection would be there again. */
async function removeDefinitions(collector: VaultCollector, oldestFirst: readonly Key[]): Promise<void> {
  const staying = await collector.remove(oldestFirst.slice(0, -1));
  if (staying.length === 0) await collector.remove(oldestFirst.slice(-1));
}
