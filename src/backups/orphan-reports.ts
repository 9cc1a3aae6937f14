import type {Key} from '../stores/index.ts';
import type {VaultCollector, VaultReader} from '../vault/index.ts';
import {lastingReports} from './lasting-reports.ts';
import {parsePinKey, pinsPrefix} from './pins/index.ts';
import {reportFacts} from './report.ts';

const pattern = /^(.*\/)([^/]+)\/reports\/[^/]+$/;

type StoredReport = {key: Key; folder: string; backup: string};

/**
 * Reports below a prefix whose backup has neither a manifest that counts nor a pin: it was removed, or it is void. Not
 * among them are those that {@link lastingReports} keeps, as long as there is another backup beside them.
 */
export async function orphanReports(vault: VaultReader, prefix: string): Promise<readonly Key[]> {
  const reports: StoredReport[] = [];
  const others: Key[] = [];
  for await (const key of vault.keys(prefix)) {
    const [, folder, backup] = pattern.exec(key) ?? [];
    if (folder === undefined || backup === undefined) others.push(key);
    else reports.push({key, folder, backup});
  }
  if (reports.length === 0) return [];
  const present = new Set(others);
  const isOrphan = ({folder, backup}: StoredReport) =>
    !present.has(`${folder}${backup}/manifest`) && !others.some((key) => key.startsWith(pinsPrefix(folder, backup)));
  const lasting = new Set<Key>();
  for (const folder of new Set(reports.map((report) => report.folder))) {
    const isBackup = (key: Key) => key.startsWith(folder) && (key.endsWith('/manifest') || isPin(folder, key));
    if (!others.some(isBackup)) continue;
    const known = reports
      .filter((report) => report.folder === folder)
      .flatMap(({key}) => {
        const facts = reportFacts(key.slice(key.lastIndexOf('/') + 1));
        return facts === undefined ? [] : [{...facts, key}];
      });
    for (const {key} of lastingReports(known)) lasting.add(key);
  }
  return reports.filter((report) => isOrphan(report) && !lasting.has(report.key)).map(({key}) => key);
}

const isPin = (folder: string, key: Key) => parsePinKey(folder, key) !== undefined;

/** Removes them; those that the store still locks stay until the next cleanup. */
export async function removeOrphanReports(
  vault: VaultReader,
  collector: VaultCollector,
  prefix: string,
): Promise<void> {
  const orphans = await orphanReports(vault, prefix);
  if (orphans.length > 0) await collector.remove(orphans);
}
