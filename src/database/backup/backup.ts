import {tellIfNamedAhead, unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import type {DatabaseMoment, FileSource, Frozen} from '../../sources/index.ts';
import {isDamage, type Vault, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import {type Catalog, readCatalog, storeFileList} from '../stored/catalog.ts';
import {
  findInstance,
  type Instance,
  listInstances,
  newInstanceName,
  type Present,
  presentDatabase,
  putInstance,
} from '../stored/instance.ts';
import {type DatabaseBackupBody, readDatabaseBackup, toDatabaseManifest} from '../stored/manifest.ts';
import {backupMicros, type DatabaseBackupName, databaseManifestKey, nextDatabaseBackupName} from '../stored/names.ts';
import {tellCheck} from './check-notice.ts';
import {type Copied, copyFiles} from './copy-files.ts';

export type DatabaseBackupRequest = {
  /** Whose backups these are. Absent: the instance in the store that has this database's data id, or a new one. */
  instance?: string;
  /** Go on with this instance, whose backups were taken at another place: the database was moved. */
  adopt?: string;
  /** As {@link planDatabaseBackup} gave it. Absent, or no longer later than all others: a new one. */
  name?: DatabaseBackupName;
  /** Id of the operation; whoever finds a held checkpoint can tell whose it is. */
  operation: string;
  /** Store changed blocks as differences to the parent's: smaller, and one read of the store for each. Default false. */
  differences?: boolean;
};

export type DatabaseBackupReport = {
  instance: string;
  backup: DatabaseBackupName;
  files: number;
  filesRead: number;
  logicalBytes: number;
  bytesRead: number;
  storedBytes: number;
  /** How long the moment was held in the database. */
  heldMicros: number;
};

export type DatabaseBackupTools = WorkTools & {
  vault: Vault;
  source: FileSource;
  /** A number from 0 to below its argument, for the words of a new instance. Default: random. */
  pick?: (below: number) => number;
};

/**
 * Refuses at once what can be refused at once; nothing is started or written.
 * @returns `instance` is absent before the first backup; `name` is the backup_timestamp, unless the clock goes back meanwhile
 */
export async function planDatabaseBackup(
  vault: VaultReader,
  source: FileSource,
  request: {instance?: string; adopt?: string; nowMicros: number},
): Promise<{instance?: string; name: DatabaseBackupName}> {
  const {instance} = await findInstance(vault, await presentDatabase(source), request);
  const name = nextDatabaseBackupName(request.nowMicros, instance?.backups ?? []);
  return instance === undefined ? {name} : {instance: instance.name, name};
}

/**
 * Takes a backup: one moment of the database, its files into the vault, the manifest last. With the manifest the backup exists,
 * whole. The moment is held for as long as files are read, and let go on every way out.
 */
export async function takeDatabaseBackup(
  tools: DatabaseBackupTools,
  request: DatabaseBackupRequest,
): Promise<DatabaseBackupReport> {
  const {vault, source, signal} = tools;
  const present = await presentDatabase(source);
  // The data id, not the name: two first backups of one database must not make two instances.
  const lease = {purpose: `operation ${request.operation}`, subject: `database ${present.dataId}`};
  const writer = await vault.writer(lease, {signal});
  try {
    const {instance: known, elsewhere} = await findInstance(vault, present, request);
    const instance: Instance = known ?? {
      name: newInstanceName(await listInstances(vault), tools.pick),
      dataId: undefined,
      backups: [],
    };
    if (elsewhere.length > 0) tools.notice(elsewhereNotice(instance.name, elsewhere));
    const parent = await readParent(vault, instance);
    try {
      return await attempt(tools, writer, request, {present, instance, parent});
    } catch (error) {
      // What was taken over unread may be lost from the vault: then all is read, which writes it anew.
      if (!isDamage(error) || parent === undefined) throw error;
      tools.notice(`all files are read again, because the vault has lost some of what it had: ${error.message}`);
      return await attempt(tools, writer, request, {present, instance, parent: undefined});
    }
  } finally {
    await writer.close();
  }
}

type Line = {present: Present; instance: Instance; parent: Catalog | undefined};

async function attempt(
  tools: DatabaseBackupTools,
  writer: VaultWriter,
  request: DatabaseBackupRequest,
  {present, instance, parent}: Line,
): Promise<DatabaseBackupReport> {
  const {signal} = tools;
  const copied = await copyMoment(tools, writer, request, parent);
  tools.progress({...copied.meter.state(), phase: 'Commit'});
  const bytes = copied.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const data = await writer.writeIds(copied.ids.bytes(), bytes);
  const list = await storeFileList(writer, copied.files);
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
  tellIfNamedAhead(tools, newest && {name: newest, micros: backupMicros(newest)}, name);
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
    ...(damage === 0 ? {} : {sourceDamage: damage}),
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

/** A copy gets backups of its own; a database that was moved can go on with the old ones. */
function elsewhereNotice(name: string, elsewhere: readonly string[]): string {
  const all = elsewhere.join(', ');
  return `the store has backups of a database with the same identity at another place (${all}): this one is a copy, or was moved, and gets a line of its own, ${name}; BACKUP DATABASE WITH (ADOPT='${elsewhere[0]}') goes on with the other`;
}

type CopiedMoment = Copied & {damage: number; database: DatabaseMoment; takenAtMicros: number; heldMicros: number};

/** Holds the moment for the reading alone: lists, packs and manifest are written after it was let go. */
async function copyMoment(
  tools: DatabaseBackupTools,
  writer: VaultWriter,
  request: DatabaseBackupRequest,
  parent: Catalog | undefined,
): Promise<CopiedMoment> {
  const {source, signal, notice} = tools;
  const began = tools.nowMicros();
  const frozen = await source.freeze({hold: request.operation, signal, notice, nowMicros: tools.nowMicros});
  try {
    const {takenAtMicros, facts} = frozen;
    const copied = await copyFiles(tools, writer, frozen, {parent, differences: request.differences ?? false});
    const found = await frozen.check?.({signal});
    await frozen.confirm();
    tellCheck(found, notice, 'the database, which was backed up as it is');
    return {
      ...copied,
      damage: found?.damage.length ?? 0,
      database: facts,
      takenAtMicros,
      heldMicros: Math.max(0, Math.floor(tools.nowMicros() - began)),
    };
  } finally {
    await letGo(frozen, notice);
  }
}

/** The backup does not fail, and no other error is hidden, because the database could not be told. */
async function letGo(frozen: Frozen, notice: (text: string) => void): Promise<void> {
  try {
    await frozen.release();
  } catch (error) {
    notice(`the database could not be told that the backup has ended: ${(error as Error).message}`);
  }
}

/** The newest backup that can be read: what it has is not read again. A damaged one is no reason to take none. */
async function readParent(vault: VaultReader, instance: Instance): Promise<Catalog | undefined> {
  const newest = instance.backups.at(-1);
  if (newest === undefined) return undefined;
  return unlessUnreadable(
    readDatabaseBackup(vault, instance.name, newest).then((backup) => readCatalog(vault, backup)),
  );
}
