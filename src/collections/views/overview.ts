import type {Pin} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {secondsText} from '../../lib/time.ts';
import type {Recipe, VaultReader} from '../../vault/index.ts';
import {settingsText} from '../define/settings.ts';
import type {CollectionMembers} from '../stored/definition.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders, requireReadable} from '../stored/folder.ts';
import {readBackup, takenAtMs} from '../stored/manifest.ts';
import {type BackupName, type BackupType, backupTime, backupType} from '../stored/names.ts';

/** One row of SHOW BACKUP COLLECTIONS. */
export type CollectionSummary = {
  name: string;
  /** Absent, like `settings`, if the definition cannot be read. */
  members: CollectionMembers | undefined;
  settings: string | undefined;
  backups: number;
  newest: BackupName | undefined;
  /** Bytes in packs that its backups need. What several backups share is counted once. */
  storedBytes: number;
  /** Why the definition cannot be read. */
  error: string | undefined;
};

/** One row of SHOW BACKUPS. The figures are absent if the manifest cannot be read. */
export type BackupSummary = {
  name: BackupName;
  type: BackupType;
  takenAt: string;
  chain?: BackupName;
  tables?: number;
  /** Rows that this backup wrote. */
  rows?: number;
  deletedRows?: number;
  /** Plain bytes of this backup's own layers. */
  logicalBytes?: number;
  /** Bytes that it added to the store. */
  addedBytes?: number;
  /** Bytes that a restore of it reads: base and all deltas. */
  restoreBytes?: number;
  /** When all that the backup needs was last read intact; absent: never. ISO, UTC. */
  verifiedAt?: string | undefined;
  /** Its time may be over. */
  pin?: Pin | undefined;
  /** Why the manifest cannot be read, or what is missing or damaged of the backup. */
  error?: string | undefined;
};

export async function listCollections(vault: VaultReader): Promise<readonly CollectionSummary[]> {
  const summaries: CollectionSummary[] = [];
  for (const {name, newest: definition, damage, backups} of (await readAllFolders(vault)).filter(isLiving)) {
    summaries.push({
      name,
      members: definition?.members,
      settings: definition && settingsText(definition.settings),
      error: damage?.message,
      backups: backups.length,
      newest: backups.at(-1),
      storedBytes: await storedBytes(vault, name, backups),
    });
  }
  return summaries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Oldest first. */
export async function listBackups(vault: VaultReader, collection: string): Promise<readonly BackupSummary[]> {
  const {backups, pins} = await requireReadable(vault, collection);
  const summaries: BackupSummary[] = [];
  const survey = await vault.survey();
  for (const name of backups) {
    const known = {name, type: backupType(name), takenAt: backupTime(name), pin: pins.get(name)};
    const {backup, fault} = await examineBackup(vault, survey, {collection, backup: name, skipLists: true});
    if (backup === undefined) {
      summaries.push({...known, error: fault.message});
      continue;
    }
    const {body, streams} = backup;
    const {rows, deletedRows, logicalBytes, storedBytes: addedBytes} = body.cost;
    try {
      const {storedBytes: restoreBytes, verifiedMs} = await survey.needsOf(streams);
      summaries.push({
        ...known,
        takenAt: secondsText(takenAtMs(body) * 1000),
        chain: body.chain,
        tables: body.tables.length,
        rows,
        deletedRows,
        logicalBytes,
        addedBytes,
        restoreBytes,
        verifiedAt: verifiedMs === undefined ? undefined : secondsText(verifiedMs * 1000),
        error: fault?.message,
      });
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      summaries.push({...known, error: error.message});
    }
  }
  return summaries;
}

/** Unreadable manifests count for nothing here: VERIFY and SHOW BACKUPS report them. */
async function storedBytes(vault: VaultReader, collection: string, backups: readonly BackupName[]): Promise<number> {
  const streams: Recipe[] = [];
  for (const name of backups) {
    try {
      streams.push(...(await readBackup(vault, collection, name)).streams);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
    }
  }
  return vault.storedBytes(streams);
}
