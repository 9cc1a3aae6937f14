import {goneTexts, mergeSmallPacks, noticeIfNamedAhead, unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {FileSource} from '../../sources/index.ts';
import {isDamage, type Vault, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import {type Catalog, readCatalog, writeFileList} from '../stored/catalog.ts';
import {type Instance, listInstances, putInstance, withoutBackups} from '../stored/instance.ts';
import {type DatabaseBackupBody, readDatabaseBackup, toDatabaseManifest} from '../stored/manifest.ts';
import {
  backupMicros,
  backupPrefix,
  type DatabaseBackupName,
  databaseManifestKey,
  nextDatabaseBackupName,
} from '../stored/names.ts';
import {copyMoment} from './copy-moment.ts';
import {findInstance, newInstanceName, type Present, presentDatabase} from './find-instance.ts';

export type DatabaseBackupRequest = {
  /** The instance that gets the backup. Absent: the one in the store with this database's data id, or a new one. */
  instance?: string | undefined;
  /** Continue this instance, whose backups were taken at another place: the database was moved. */
  adopt?: string | undefined;
  /** From `planDatabaseBackup`. If it is absent, or no longer later than all others, a new name is chosen. */
  name?: DatabaseBackupName | undefined;
  /** Id of the operation. It identifies the owner of a checkpoint that a crash leaves held. */
  operation: string;
  /**
   * Store changed blocks as differences to the parent's: smaller, but each costs a read of the store. Default
   * false.
   */
  differences?: boolean | undefined;
};

export type DatabaseBackupReport = {
  instance: string;
  backup: DatabaseBackupName;
  files: number;
  filesRead: number;
  logicalBytes: number;
  bytesRead: number;
  storedBytes: number;
  /** How long the database was frozen. */
  heldMicros: number;
};

export type DatabaseBackupTools = WorkTools & {
  vault: Vault;
  source: FileSource;
  /** Returns a number from 0 to below its argument, for the words of a new instance's name. Default: random. */
  pick?: ((below: number) => number) | undefined;
};

/**
 * Takes a backup: freezes the database at one point in time, copies its files into the vault, and writes the
 * manifest last. The backup exists, complete, once its manifest does. The database stays frozen only while its
 * files are read.
 */
export async function takeDatabaseBackup(
  tools: DatabaseBackupTools,
  request: DatabaseBackupRequest,
): Promise<DatabaseBackupReport> {
  const {vault, source, signal} = tools;
  const present = await presentDatabase(source);
  // The subject is the data id: concurrent first backups of one database must not create two instances.
  const lease = {purpose: `operation ${request.operation}`, subject: `database ${present.dataId}`};
  const writer = await vault.writer(lease, {signal});
  const report = await takeUnderLease(tools, writer, request, present);
  await mergeSmallPacks(tools, writer, request.operation);
  return report;
}

/**
 * A backup after one that read this much most likely reads enough again that threads that compress pay. They start
 * while the database is asked for its point in time, when bkp has nothing else to do.
 */
const muchBytes = 16 * 1024 * 1024;

/** Closes the writer. */
async function takeUnderLease(
  tools: DatabaseBackupTools,
  writer: VaultWriter,
  request: DatabaseBackupRequest,
  present: Present,
): Promise<DatabaseBackupReport> {
  const {vault} = tools;
  try {
    const {instance: known, elsewhere} = await findInstance(vault, present, request);
    for (const text of goneTexts(vault, backupPrefix)) tools.notice(text);
    const instance: Instance = known ?? {
      name: newInstanceName(await listInstances(vault), tools.pick),
      dataId: undefined,
      ...withoutBackups,
    };
    if (elsewhere.length > 0) tools.notice(elsewhereNotice(instance.name, elsewhere));
    const parent = await readParent(vault, instance);
    if (parent !== undefined && parent.bytesRead >= muchBytes) writer.expectMuch();
    try {
      return await attempt(tools, writer, request, {present, instance, parent});
    } catch (error) {
      // The vault may have lost chunks of files that were taken over unread. Reading all files writes them again.
      if (!isDamage(error) || parent === undefined) throw error;
      tools.notice(`all files are read again, because the vault has lost some of their data: ${error.message}`);
      return await attempt(tools, writer, request, {present, instance, parent: undefined});
    }
  } finally {
    await writer.close();
  }
}

/** Catalog of the backup before, and how much that backup had to read. */
type Parent = Catalog & {bytesRead: number};

type Target = {present: Present; instance: Instance; parent: Parent | undefined};

async function attempt(
  tools: DatabaseBackupTools,
  writer: VaultWriter,
  request: DatabaseBackupRequest,
  {present, instance, parent}: Target,
): Promise<DatabaseBackupReport> {
  const {signal} = tools;
  const copied = await copyMoment(tools, writer, request, parent);
  tools.progress({...copied.meter.state(), phase: 'Commit'});
  const bytes = copied.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const data = await writer.writeIds(copied.ids.bytes(), bytes);
  const list = await writeFileList(writer, copied.files);
  await writer.flush();
  signal.throwIfAborted();
  if (instance.dataId === undefined) {
    await putInstance(writer, {name: instance.name, present, nowMicros: tools.nowMicros()});
  }
  const finishedAtMicros = Math.floor(tools.nowMicros());
  const newest = instance.backups.at(-1);
  const name =
    request.name !== undefined && (newest === undefined || newest < request.name)
      ? request.name
      : nextDatabaseBackupName(finishedAtMicros, instance.backups);
  noticeIfNamedAhead(tools, newest && {name: newest, micros: backupMicros(newest)}, name);
  const {filesRead, bytesRead, heldMicros, takenAtMicros, database, damage} = copied;
  const {storedBytes} = writer.stats;
  const body: DatabaseBackupBody = {
    version: 1,
    instance: instance.name,
    backup: name,
    takenAtMicros,
    finishedAtMicros,
    source: present,
    database,
    files: copied.files.length,
    bytes,
    zeroBytes: copied.files.reduce((sum, file) => sum + file.zeroTailBytes, 0),
    sourceDamage: damage === 0 ? undefined : damage,
    cost: {filesRead, bytesRead, storedBytes, heldMicros},
  };
  const key = databaseManifestKey(instance.name, name);
  if ((await writer.commit(key, toDatabaseManifest({body, data, list}))) === 'exists') {
    throw new BkpError('BUSY', `another bkp took the name ${name} meanwhile`, {
      next: 'take the backup again',
      retryable: true,
    });
  }
  return {
    instance: instance.name,
    backup: name,
    files: copied.files.length,
    filesRead,
    logicalBytes: bytes,
    bytesRead,
    storedBytes,
    heldMicros,
  };
}

/** A copy of a database gets its own instance; a database that was moved can continue the old one. */
function elsewhereNotice(name: string, elsewhere: readonly string[]): string {
  const all = elsewhere.join(', ');
  return (
    `the store has backups of a database with the same identity at another place (${all}): this one is a copy, ` +
    `or was moved, and gets its own instance, ${name}; BACKUP DATABASE WITH (ADOPT='${elsewhere[0]}') ` +
    'continues the other'
  );
}

/** The backup whose unchanged files are not read again. If it is damaged, all files are read. */
async function readParent(vault: VaultReader, instance: Instance): Promise<Parent | undefined> {
  const newest = instance.backups.at(-1);
  if (newest === undefined) return undefined;
  return unlessUnreadable(
    readDatabaseBackup(vault, instance.name, newest).then(async (backup) => ({
      ...(await readCatalog(vault, backup)),
      bytesRead: backup.body.cost.bytesRead,
    })),
  );
}
