import type {Key} from '../stores/index.ts';
import {isStillListed, type VaultCollector} from '../vault/index.ts';
import {retainedNotice} from './retained-notice.ts';
import type {WorkTools} from './tools.ts';

type RemovalTools = Pick<WorkTools, 'signal' | 'progress' | 'notice'>;

/**
 * Removes manifests, and with them their backups.
 * @returns the keys that the store does not allow to be removed yet
 */
export async function removeManifests(
  {progress}: RemovalTools,
  collector: VaultCollector,
  manifests: readonly Key[],
): Promise<ReadonlySet<Key>> {
  progress({phase: 'Removing backups', bytesDone: 0, itemsDone: 0, itemsTotal: manifests.length});
  return new Set((await collector.remove(manifests)).map(({key}) => key));
}

/**
 * Removes the data that no manifest needs any more.
 * @param removed how many backups were removed before: if this fails or is cancelled, a notice says that they are gone
 * @returns the bytes that became free in the store
 */
export async function freeSpace(tools: RemovalTools, collector: VaultCollector, removed: number): Promise<number> {
  const {signal, progress, notice} = tools;
  try {
    signal.throwIfAborted();
    const {freedBytes, retained} = await collector.execute(await collector.plan({signal}), {
      signal,
      progress: (itemsDone, itemsTotal) => progress({phase: 'Freeing space', bytesDone: 0, itemsDone, itemsTotal}),
    });
    if (retained !== undefined) notice(retainedNotice(retained));
    return freedBytes;
  } catch (error) {
    if (removed > 0 && !isStillListed(error))
      notice('the backups are removed already; the next cleanup frees the rest of their space');
    throw error;
  }
}
