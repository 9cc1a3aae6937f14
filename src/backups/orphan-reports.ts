import type {Key} from '../stores/index.ts';
import type {VaultCollector, VaultReader} from '../vault/index.ts';
import {pinsPrefix} from './pins/index.ts';

const pattern = /^(.*\/)([^/]+)\/reports\/[^/]+$/;

/** Reports below a prefix whose backup has neither a manifest that counts nor a pin: it was removed, or it is void. */
export async function orphanReports(vault: VaultReader, prefix: string): Promise<readonly Key[]> {
  const reports = new Map<Key, {manifest: Key; pins: string}>();
  const others: Key[] = [];
  for await (const key of vault.keys(prefix)) {
    const [, folder, backup] = pattern.exec(key) ?? [];
    if (folder === undefined || backup === undefined) others.push(key);
    else reports.set(key, {manifest: `${folder}${backup}/manifest`, pins: pinsPrefix(folder, backup)});
  }
  if (reports.size === 0) return [];
  const present = new Set(others);
  const orphans = [...reports].filter(
    ([, {manifest, pins}]) => !present.has(manifest) && !others.some((key) => key.startsWith(pins)),
  );
  return orphans.map(([key]) => key);
}

/** Removes them; those that the store still locks stay until the next cleanup. */
export async function removeOrphanReports(
  vault: VaultReader,
  collector: VaultCollector,
  prefix: string,
): Promise<void> {
  const orphans = await orphanReports(vault, prefix);
  if (orphans.length > 0) await collector.remove(orphans);
}
