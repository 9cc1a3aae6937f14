import type {VaultReader} from '../../vault/index.ts';
import {type CollectionMembers, settingsText} from '../stored/definition.ts';
import {readAllFolders, requireReadable} from '../stored/folder.ts';
import {readBackup, takenAtMs} from '../stored/manifest.ts';
import {type BackupName, type BackupType, backupTime, backupType, nameInPrefix, secondsText} from '../stored/names.ts';

/** One line of SHOW BACKUP COLLECTIONS. `error`: its definition cannot be read; members and settings are then absent. */
export type CollectionSummary = {
  name: string;
  members?: CollectionMembers;
  settings?: string;
  backups: number;
  newest?: BackupName;
  /** Bytes in packs that its backups need, what they share counted once. */
  storedBytes: number;
  error?: string;
};

/** One line of SHOW BACKUPS. `error`: its manifest cannot be read, and the figures are absent; or it has lost something. */
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
  /** What it added to the store. */
  addedBytes?: number;
  /** What a restore of it reads, base and all deltas. */
  restoreBytes?: number;
  error?: string;
};

export async function listCollections(vault: VaultReader): Promise<readonly CollectionSummary[]> {
  const summaries: CollectionSummary[] = [];
  for (const {prefix, newest: definition, damage, backups} of await readAllFolders(vault)) {
    if (damage === undefined && (definition === undefined || definition.dropped !== undefined)) continue;
    const name = definition?.name ?? nameInPrefix(prefix) ?? prefix;
    const newest = backups.at(-1);
    summaries.push({
      name,
      ...(definition === undefined ? {} : {members: definition.members, settings: settingsText(definition.settings)}),
      ...(damage === undefined ? {} : {error: damage.message}),
      backups: backups.length,
      ...(newest === undefined ? {} : {newest}),
      storedBytes: await storedBytes(vault, name, backups),
    });
  }
  return summaries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Oldest first. */
export async function listBackups(vault: VaultReader, collection: string): Promise<readonly BackupSummary[]> {
  const {backups} = await requireReadable(vault, collection);
  const summaries: BackupSummary[] = [];
  const survey = await vault.survey();
  for (const name of backups) {
    const known = {name, type: backupType(name), takenAt: backupTime(name)};
    try {
      const {body, streams} = await readBackup(vault, collection, name);
      const fault = await survey.faultOf(streams, {skipLists: true});
      summaries.push({
        ...known,
        takenAt: secondsText(takenAtMs(body)),
        chain: body.chain,
        tables: body.tables.length,
        rows: body.cost.rows,
        deletedRows: body.cost.deletedRows,
        logicalBytes: body.cost.logicalBytes,
        addedBytes: body.cost.storedBytes,
        restoreBytes: await vault.storedBytes(streams),
        ...(fault === undefined ? {} : {error: fault.message}),
      });
    } catch (error) {
      summaries.push({...known, error: (error as Error).message});
    }
  }
  return summaries;
}

async function storedBytes(vault: VaultReader, collection: string, backups: readonly BackupName[]): Promise<number> {
  const streams = [];
  for (const name of backups) {
    try {
      streams.push(...(await readBackup(vault, collection, name)).streams);
    } catch {
      // A manifest that cannot be read is VERIFY's and SHOW BACKUPS' to tell; here it only adds nothing.
    }
  }
  return vault.storedBytes(streams);
}
