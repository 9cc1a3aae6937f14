import {type Pin, readsAtOnce} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import {secondsText} from '../../lib/time.ts';
import type {NeedsInTurn, Recipe, VaultReader} from '../../vault/index.ts';
import {settingsText} from '../define/settings.ts';
import type {CollectionMembers} from '../stored/definition.ts';
import {examineBackup} from '../stored/examine.ts';
import {isLiving, readAllFolders, requireReadable} from '../stored/folder.ts';
import {type Backup, readBackup, takenAtText} from '../stored/manifest.ts';
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
  const needs = survey.needsInTurn();
  try {
    const examined = mapConcurrent(backups, readsAtOnce, async (backup) => ({
      known: {name: backup, type: backupType(backup), takenAt: backupTime(backup), pin: pins.get(backup)},
      ...(await examineBackup(vault, survey, {collection, backup, skipLists: true})),
    }));
    for await (const {known, backup, fault} of examined) {
      summaries.push(
        backup === undefined
          ? {...known, error: fault?.message}
          : {...known, ...(await figuresOf(backup, fault, needs))},
      );
    }
  } finally {
    needs.close();
  }
  return summaries;
}

async function figuresOf(
  {body, streams}: Backup,
  fault: BkpError | undefined,
  needs: NeedsInTurn,
): Promise<Partial<BackupSummary>> {
  try {
    const {storedBytes: restoreBytes, verifiedMs} = await needs.of(streams);
    const {rows, deletedRows, logicalBytes, storedBytes: addedBytes} = body.cost;
    return {
      takenAt: takenAtText(body),
      chain: body.chain,
      tables: body.tables.length,
      rows,
      deletedRows,
      logicalBytes,
      addedBytes,
      restoreBytes,
      verifiedAt: verifiedMs === undefined ? undefined : secondsText(verifiedMs * 1000),
      error: fault?.message,
    };
  } catch (error) {
    if (!(error instanceof BkpError)) throw error;
    return {error: error.message};
  }
}

/** Unreadable manifests count for nothing here: VERIFY and SHOW BACKUPS report them. */
async function storedBytes(vault: VaultReader, collection: string, backups: readonly BackupName[]): Promise<number> {
  const streams: Recipe[] = [];
  const read = mapConcurrent(backups, readsAtOnce, async (name) => {
    try {
      return await readBackup(vault, collection, name);
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      return undefined;
    }
  });
  for await (const backup of read) streams.push(...(backup?.streams ?? []));
  return vault.storedBytes(streams);
}
