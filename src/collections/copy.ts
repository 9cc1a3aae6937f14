import {BkpError} from '../errors/index.ts';
import {quoteName} from '../sql/index.ts';
import type {Vault, VaultReader, VaultWriter} from '../vault/index.ts';
import type {WorkTools} from '../work/index.ts';
import {nextGeneration, putDefinition} from './define.ts';
import type {Definition, Storage} from './definition.ts';
import {type CollectionFolder, readFolder, requireCollection} from './folder.ts';
import {readBackup, toManifest} from './manifest.ts';
import {type BackupName, findBackup, manifestKey} from './names.ts';

export type CopyRequest = {
  collection: string;
  /** Absent: every backup. */
  backup?: BackupName;
  /** What the copied definition says of where it lies. */
  storage: Storage;
  operation: string;
};

export type CopyReport = {
  /** Backups that were copied; those that the other vault had already are not counted. */
  backups: number;
  /** Plain bytes of the copied backups' streams. */
  logicalBytes: number;
  /** Bytes that came into the other store. */
  storedBytes: number;
};

/**
 * Refuses at once what can be refused at once.
 * @param request.isHome the target is the store in which the collection's backups are taken, and `from` has a copy: that can only
 *   bring back what the target has lost
 * @returns the backup that is meant; undefined: all of them
 */
export async function planCopy(
  from: VaultReader,
  to: VaultReader,
  request: {collection: string; point: string | undefined; isHome?: boolean},
): Promise<BackupName | undefined> {
  const {collection, point, isHome = false} = request;
  const live = await requireCollection(from, collection);
  if (from.id === to.id) throw isThere(collection, `${from.store} and ${to.store} are one vault`);
  if (live.backups.length === 0) {
    throw new BkpError('BAD_REQUEST', `Nothing to copy: collection ${collection} has no backups`, {
      next: `BACKUP ${quoteName(collection)}`,
    });
  }
  const folder = await readFolder(to, collection);
  refuseAnother(live.definition, folder, to);
  const backup = point === undefined ? undefined : findBackup(collection, live.backups, point);
  const wanted = backup === undefined ? live.backups : [backup];
  if (isHome && wanted.every((name) => folder.backups.includes(name))) {
    throw isThere(collection, `its backups are taken there, and it has all that the copy in ${from.store} has`);
  }
  return backup;
}

function isThere(collection: string, cause: string): BkpError {
  return new BkpError('BAD_REQUEST', `collection ${collection} lies in that store already`, {
    cause,
    next: "name another store: TO 's3', TO 'cluster', or an address",
  });
}

/**
 * Copies the collection's definition and then its backups, oldest first, each whole before the next begins: what was copied
 * when the process ends is there, and the next copy goes on behind it.
 */
export async function copyCollection(
  tools: WorkTools & {from: Vault; to: Vault},
  request: CopyRequest,
): Promise<CopyReport> {
  const {from, to, signal} = tools;
  const {collection} = request;
  const lease = {purpose: `operation ${request.operation}`, subject: `collection ${collection}`};
  const writer = await to.writer(lease, {signal});
  try {
    const live = await requireCollection(from, collection);
    const folder = await readFolder(to, collection);
    refuseAnother(live.definition, folder, to);
    await copyDefinition(writer, live.definition, folder, request.storage);
    const wanted = request.backup === undefined ? live.backups : [request.backup];
    const report: CopyReport = {backups: 0, logicalBytes: 0, storedBytes: 0};
    for (const [at, name] of wanted.entries()) {
      signal.throwIfAborted();
      const {body, streams} = await readBackup(from, collection, name);
      if (folder.backups.includes(name)) {
        await requireSame(to, collection, name, body);
        continue;
      }
      const items = {phase: 'TransferData', itemsDone: at, itemsTotal: wanted.length};
      await writer.copyFrom(from, streams, {
        signal,
        progress: (bytesDone, bytesTotal) => tools.progress({...items, bytesDone, bytesTotal}),
      });
      signal.throwIfAborted();
      if ((await writer.commit(manifestKey(collection, name), toManifest(body, streams))) === 'exists') {
        throw new BkpError('BUSY', `${collection}/${name} came into ${to.store} meanwhile, or a cleanup there is due`, {
          next: `copy again; if it stays so, run bkp collection cleanup on that store first`,
          retryable: true,
        });
      }
      report.backups += 1;
      report.logicalBytes += streams.reduce((sum, stream) => sum + stream.sizeBytes, 0);
    }
    report.storedBytes = writer.stats.storedBytes;
    return report;
  } finally {
    await writer.close();
  }
}

/** The newest definition's members and settings; only where they differ from what lies there. */
async function copyDefinition(
  writer: VaultWriter,
  definition: Definition,
  folder: CollectionFolder,
  storage: Storage,
): Promise<void> {
  const {dropped: _, ...living} = definition;
  const copy: Definition = {
    ...living,
    settings: {...definition.settings, storage},
    generation: nextGeneration(folder, writer),
  };
  const {newest} = folder;
  const meaning = ({members, settings}: Definition) => JSON.stringify([members, settings]);
  if (newest !== undefined && newest.dropped === undefined && meaning(newest) === meaning(copy)) return;
  await putDefinition(writer, copy);
}

/** Collections of one name may have nothing in common: their chains must not be mixed. */
function refuseAnother(definition: Definition, {newest, damage}: CollectionFolder, to: VaultReader): void {
  if (damage !== undefined) throw damage;
  if (newest === undefined || newest.dropped !== undefined || newest.id === definition.id) return;
  throw new BkpError('COLLECTION_EXISTS', `${to.store} has another collection ${definition.name}`, {
    cause: 'it was made by another CREATE BACKUP COLLECTION',
    next: 'copy to another store, or drop the collection there first',
  });
}

async function requireSame(to: VaultReader, collection: string, name: BackupName, body: object): Promise<void> {
  const there = await readBackup(to, collection, name);
  if (JSON.stringify(there.body) === JSON.stringify(body)) return;
  throw new BkpError('COLLECTION_EXISTS', `${to.store} has another backup ${collection}/${name}`, {
    cause: 'two machines took a backup of the collection in the same second, into two stores',
    next: 'copy the other backups one by one: COPY BACKUP COLLECTION … AT … TO …',
  });
}
