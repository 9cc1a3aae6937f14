import {unlessDamaged, unlessUnreadable, type WorkTools} from '../../backups/index.ts';
import {BkpError} from '../../errors/index.ts';
import {quoteName} from '../../sql/index.ts';
import {isDamage, type Recipe, type Survey, type Vault, type VaultReader, type VaultWriter} from '../../vault/index.ts';
import {lastKnownId, nextGeneration, putDefinition} from '../define/define.ts';
import type {Definition, Storage} from '../stored/definition.ts';
import {findBackup} from '../stored/find.ts';
import {type CollectionFolder, readFolder, requireCollection} from '../stored/folder.ts';
import {type Backup, readBackup, toManifest} from '../stored/manifest.ts';
import {type BackupName, manifestKey} from '../stored/names.ts';

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
  /** Backups that the other vault had, and of which it got back what it had lost. */
  mended: number;
  /** Plain bytes of the streams of both. */
  logicalBytes: number;
  /** Bytes that came into the other store. */
  storedBytes: number;
};

/**
 * `backup`: the one that is meant; absent: all of them.
 * `nothing`: why there is nothing to copy, in words; absent when there is, or may be.
 */
export type CopyPlan = {backup?: BackupName; nothing?: string};

/**
 * Refuses at once what can be refused at once.
 * @param request.isHome statements about the collection mean the target, and `from` has it too: it was copied from the one into the
 *   other, nobody knows in which direction. When the target has all that `from` has, the user learns which way it would have gone.
 */
export async function planCopy(
  from: VaultReader,
  to: VaultReader,
  request: {collection: string; point: string | undefined; isHome?: boolean},
): Promise<CopyPlan> {
  const {collection, point, isHome = false} = request;
  const live = await requireCollection(from, collection);
  if (from.id === to.id) {
    throw new BkpError('BAD_REQUEST', `collection ${collection} lies in that store already`, {
      cause: `${from.location} and ${to.location} are one vault`,
      next: "name another store: TO 's3', TO 'cluster', or an address",
    });
  }
  if (live.backups.length === 0) {
    throw new BkpError('BAD_REQUEST', `Nothing to copy: collection ${collection} has no backups`, {
      next: `BACKUP ${quoteName(collection)}`,
    });
  }
  const folder = await readFolder(to, collection);
  await refuseAnother(live.definition, folder, to);
  const backup = point === undefined ? undefined : await findBackup(from, {collection, backups: live.backups, point});
  const wanted = backup === undefined ? live.backups : [backup];
  if (isHome && (await hasAll(to, collection, folder, wanted))) {
    const what = backup === undefined ? `every backup of ${collection}` : `backup ${collection}/${backup}`;
    return {nothing: `nothing to copy from ${from.location}: ${to.location} has ${what} that it has, whole`};
  }
  return backup === undefined ? {} : {backup};
}

async function hasAll(
  to: VaultReader,
  collection: string,
  folder: CollectionFolder,
  wanted: readonly BackupName[],
): Promise<boolean> {
  if (folder.damage !== undefined || !wanted.every((name) => folder.backups.includes(name))) return false;
  const survey = await to.survey();
  for (const name of wanted) {
    const there = await unlessDamaged(readBackup(to, collection, name));
    if (there === undefined || (await survey.faultOf(there.streams)) !== undefined) return false;
  }
  return true;
}

/**
 * Copies the collection's definition and then its backups, oldest first, each whole before the next begins: what was copied
 * when the process ends is there, and the next copy goes on behind it. Of a backup that is there already, what its store has lost
 * is copied again. One that cannot be copied keeps none of the others from it.
 * @throws BkpError `DAMAGE_FOUND`, when all others are copied, with one detail for each backup that is not whole there
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
    await refuseAnother(live.definition, folder, to);
    await copyDefinition(writer, live.definition, folder, request.storage);
    const wanted = request.backup === undefined ? live.backups : [request.backup];
    const report: CopyReport = {backups: 0, mended: 0, logicalBytes: 0, storedBytes: 0};
    const failures = new Map<BackupName, BkpError>();
    const there = new Set(folder.backups);
    const job: CopyJob = {...tools, writer, collection, report, survey: await to.survey()};
    for (const [at, name] of wanted.entries()) {
      signal.throwIfAborted();
      const items = {phase: 'TransferData', itemsDone: at, itemsTotal: wanted.length};
      try {
        await (there.has(name) ? mendOne(job, name, items) : copyOne(job, name, items));
      } catch (error) {
        if (!isOfOneBackup(error) || request.backup !== undefined) throw error;
        failures.set(name, error);
      }
    }
    if (request.backup === undefined)
      await tellOthers(
        job,
        folder.backups.filter((name) => !wanted.includes(name)),
      );
    if (failures.size > 0) throw notAll(tools, collection, failures, wanted.length);
    report.storedBytes = writer.stats.storedBytes;
    return report;
  } finally {
    await writer.close();
  }
}

type CopyJob = WorkTools & {
  from: Vault;
  to: Vault;
  writer: VaultWriter;
  collection: string;
  report: CopyReport;
  /** Of the target. */
  survey: Survey;
};

type Items = {phase: string; itemsDone: number; itemsTotal: number};

async function copyOne(job: CopyJob, name: BackupName, items: Items): Promise<void> {
  const {from, to, collection, report} = job;
  const {body, streams} = await readBackup(from, collection, name);
  if ((await bring(job, name, {body, streams}, items)) === 'exists') {
    throw new BkpError('BUSY', `${collection}/${name} came into ${to.location} meanwhile, or a cleanup there is due`, {
      next: 'copy again; if it stays so, run bkp collection cleanup on that store first',
      retryable: true,
    });
  }
  report.backups += 1;
  report.logicalBytes += sizeOf(streams);
}

/** Its manifest is there; all that it needs need not be, any more. */
async function mendOne(job: CopyJob, name: BackupName, items: Items): Promise<void> {
  const {from, to, collection, survey, report, notice} = job;
  const there = await readBackup(to, collection, name).catch((error: unknown) => {
    throw isDamage(error) ? damagedThere(job, name, error) : error;
  });
  const fault = await survey.faultOf(there.streams, {signal: job.signal});
  const original = await unlessUnreadable(readBackup(from, collection, name));
  if (original !== undefined) requireSame(to, collection, name, [there, original]);
  if (fault === undefined) {
    if (original === undefined)
      notice(`${collection}/${name} is damaged in ${from.location}, and whole in ${to.location}`);
    return;
  }
  await bring(job, name, there, items);
  notice(`${collection}/${name}: what ${to.location} had lost of it was copied again: ${fault.message}`);
  report.mended += 1;
  report.logicalBytes += sizeOf(there.streams);
}

/** Backups that the original has no more: nothing can be brought for them, but a copy that is not whole is not passed over. */
async function tellOthers({to, collection, survey, notice}: CopyJob, others: readonly BackupName[]): Promise<void> {
  for (const name of others) {
    const there = await unlessUnreadable(readBackup(to, collection, name));
    const fault = there && (await survey.faultOf(there.streams));
    if (fault !== undefined)
      notice(`${collection}/${name} is in ${to.location} alone, and not whole: ${fault.message}`);
  }
}

/** When it resolves, all that the backup needs was found in the target, also where its manifest was there before. */
async function bring(
  {from, writer, collection, signal, progress}: CopyJob,
  name: BackupName,
  {body, streams}: Backup,
  items: Items,
): Promise<'written' | 'exists'> {
  await writer.copyFrom(from, streams, {
    signal,
    progress: (bytesDone, bytesTotal) => progress({...items, bytesDone, bytesTotal}),
  });
  signal.throwIfAborted();
  return writer.commit(manifestKey(collection, name), toManifest(body, streams));
}

const sizeOf = (streams: readonly Recipe[]) => streams.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);

/** Whatever is wrong with one backup, in one of the stores, is no reason not to copy the others. */
function isOfOneBackup(error: unknown): error is BkpError {
  return isDamage(error) || (error instanceof BkpError && ['COLLECTION_EXISTS', 'STORE_REFUSED'].includes(error.code));
}

/** Ends the step for a fault that is the target's alone. */
const copyAgain = ', and copy again';

function damagedThere({to, collection}: CopyJob, name: BackupName, cause: BkpError): BkpError {
  const next = `remove ${manifestKey(collection, name)} in ${to.location}${copyAgain}`;
  return new BkpError(cause.code, `its manifest in ${to.location} is damaged: ${next}`, {
    cause,
    next,
    context: cause.context,
  });
}

function notAll(
  {from, to}: {from: Vault; to: Vault},
  collection: string,
  failures: ReadonlyMap<BackupName, BkpError>,
  wanted: number,
): BkpError {
  const errors = [...failures.values()];
  const whole = wanted - failures.size;
  return new BkpError(
    errors.some(isDamage) ? 'DAMAGE_FOUND' : errors[0]!.code,
    `${failures.size} of ${wanted} backups of ${collection} are not whole in ${to.location}; the other ${whole} are`,
    {
      details: [...failures].map(([name, error]) => `${collection}/${name}: ${error.message}`),
      // One step for all of them, or each has its own in the details.
      next:
        errors.length === 1 && errors[0]!.next !== undefined
          ? errors[0]!.next
          : errors.every(({next}) => next?.endsWith(copyAgain))
            ? `what the lines above say, then COPY BACKUP COLLECTION ${quoteName(collection)} again`
            : `VERIFY ${quoteName(collection)} names what ${from.location} has lost; a new full backup stores it anew, and can be copied`,
      context: {collection},
    },
  );
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

/**
 * Collections of one name may have nothing in common: their chains must not be mixed. Where the definition is damaged, its backups
 * tell whose it was; the copy then writes it anew.
 */
async function refuseAnother(definition: Definition, folder: CollectionFolder, to: VaultReader): Promise<void> {
  const {newest, damage, backups} = folder;
  if (damage !== undefined) {
    if (damage.code === 'STORE_REFUSED') throw damage;
    const id = await lastKnownId(to, definition.name, folder);
    if (id === undefined && backups.length > 0) throw damage;
    if (id === undefined || id === definition.id) return;
  } else if (newest === undefined || newest.dropped !== undefined || newest.id === definition.id) return;
  throw new BkpError('COLLECTION_EXISTS', `${to.location} has another collection ${definition.name}`, {
    cause: 'it was made by another CREATE BACKUP COLLECTION',
    next: 'copy to another store, or drop the collection there first',
  });
}

function requireSame(
  to: VaultReader,
  collection: string,
  name: BackupName,
  [there, original]: readonly [Backup, Backup],
): void {
  if (JSON.stringify(there.body) === JSON.stringify(original.body)) return;
  throw new BkpError('COLLECTION_EXISTS', `${to.location} has another backup ${collection}/${name}`, {
    cause: 'two machines took a backup of the collection in the same second, into two stores',
    next: 'copy that one to another store',
  });
}
