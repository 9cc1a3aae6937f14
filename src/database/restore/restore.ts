import {type Meter, startMeter, type WorkTools} from '../../backups/index.ts';
import {assert, BkpError} from '../../errors/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import {inBlocks} from '../../lib/blocks.ts';
import type {FileTarget} from '../../sources/index.ts';
import {type ChunkId, chunkId, type IdList, isDamage, type VaultReader} from '../../vault/index.ts';
import {tellCheck} from '../backup/check-notice.ts';
import {type CatalogFile, readCatalog} from '../stored/catalog.ts';
import {readDatabaseBackup} from '../stored/manifest.ts';
import type {DatabaseBackupName} from '../stored/names.ts';
import {choose, type DatabaseRestorePlan} from './plan.ts';

export type DatabaseRestoreReport = {
  instance: string;
  backup: DatabaseBackupName;
  files: number;
  /** Files that an earlier try had written whole; they were read and checked. */
  filesTakenOver: number;
  logicalBytes: number;
};

/** Batches that are written at once: each reads ahead up to 6 MiB, and a disk is busy with four. */
const batchesAtOnce = 4;
/** Files that are read as one stream, because neighbours lie together in the vault: few reads of the store. */
const batchFiles = 256;
const batchBytes = 16 * 1024 * 1024;
/** Ids of one read: less than 1 MiB as texts, and half a GiB of a file in blocks of 64 KiB. */
const idsAtOnce = 8192;

/**
 * Brings the files of a plan back: all of them, each chunk checked by its hash, or none is published. A try that was ended
 * (kill -9, a full disk, a cancel) is gone on with: its whole files are checked and kept.
 * @throws BkpError `OBJECT_DAMAGED` (`hash mismatch [path=…, expected=…, actual=…]`; the target then says which table it was) and
 *   what the target throws
 */
export async function restoreDatabase(
  tools: WorkTools & {vault: VaultReader; target: FileTarget},
  plan: Pick<DatabaseRestorePlan, 'instance' | 'backup' | 'tables' | 'optional'>,
): Promise<DatabaseRestoreReport> {
  const {vault, target, signal} = tools;
  const backup = await readDatabaseBackup(vault, plan.instance, plan.backup);
  // Reading the list checks every path, before anything is written.
  const catalog = await readCatalog(vault, backup);
  const {files, database} = choose(backup, catalog, plan);
  await target.prepare(database);
  const logicalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const meter = startMeter(tools, {bytesTotal: logicalBytes, itemsTotal: files.length});
  let filesTakenOver = 0;
  const stop = new AbortController();
  const work: Work = {vault, target, meter, ids: catalog.ids, signal: AbortSignal.any([signal, stop.signal])};
  try {
    await forEachConcurrent(batchesOf(files), batchesAtOnce, async (batch) => {
      try {
        filesTakenOver += await restoreBatch(work, batch);
      } catch (error) {
        stop.abort();
        throw error;
      }
    });
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    await target.fail(error.tables);
    throw error.told;
  }
  signal.throwIfAborted();
  tools.progress({...meter.state(), phase: 'Publish'});
  tellCheck(await target.publish({signal}), tools.notice, 'the restored database, whose bytes are those of the backup');
  return {instance: plan.instance, backup: plan.backup, files: files.length, filesTakenOver, logicalBytes};
}

type Work = {vault: VaultReader; target: FileTarget; meter: Meter; ids: IdList; signal: AbortSignal};

/** A file that cannot be brought back, and what is told of it. */
class DamagedFile extends Error {
  readonly tables: readonly string[];
  readonly told: BkpError;

  constructor(file: CatalogFile, told: BkpError) {
    super(told.message);
    this.tables = file.table === undefined ? [] : [file.table];
    this.told = told;
  }
}

function* batchesOf(files: readonly CatalogFile[]): Generator<CatalogFile[]> {
  let batch: CatalogFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && (batch.length === batchFiles || bytes + file.sizeBytes > batchBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}

/** @returns how many files were there already */
async function restoreBatch(work: Work, batch: readonly CatalogFile[]): Promise<number> {
  const {meter, signal} = work;
  const missing: CatalogFile[] = [];
  for (const file of batch) {
    signal.throwIfAborted();
    if (!(await isWhole(work, file))) {
      missing.push(file);
      continue;
    }
    meter.bytes(file.sizeBytes);
    meter.item();
  }
  const stream = readFiles(work, missing);
  try {
    for (const file of missing) await restoreFile(work, file, stream);
  } catch (error) {
    throw isDamage(error) ? namedDamage(work, missing, error) : error;
  } finally {
    await stream.return(undefined);
  }
  return batch.length - missing.length;
}

/** The chunks of the files, one after the other, a limited number of ids in memory. */
async function* readFiles({vault, ids, signal}: Work, files: readonly CatalogFile[]): AsyncGenerator<Uint8Array> {
  let chunks: ChunkId[] = [];
  let sizeBytes = 0;
  for (const file of files) {
    for (let n = 0; n < file.chunks; n++) {
      chunks.push(ids.at(file.firstChunk + n));
      sizeBytes += Math.min(file.blockBytes, file.sizeBytes - n * file.blockBytes);
      if (chunks.length < idsAtOnce) continue;
      yield* vault.read({sizeBytes, depth: 0, chunks}, {signal, borrowed: true});
      [chunks, sizeBytes] = [[], 0];
    }
  }
  if (chunks.length > 0) yield* vault.read({sizeBytes, depth: 0, chunks}, {signal, borrowed: true});
}

async function restoreFile({target, meter}: Work, file: CatalogFile, stream: AsyncIterator<Uint8Array>): Promise<void> {
  let chunks = 0;
  let bytes = 0;
  let failure: {error: unknown} | undefined;
  async function* own(): AsyncGenerator<Uint8Array> {
    while (chunks < file.chunks) {
      const next = await stream.next().catch((error: unknown) => {
        failure = {error};
        throw error;
      });
      if (next.done) return;
      chunks++;
      bytes += next.value.length;
      meter.bytes(next.value.length);
      yield next.value;
    }
  }
  try {
    await target.write(file, own());
  } catch (error) {
    // Damage in the vault stays damage, whatever the target makes of it.
    throw (failure as {error: unknown} | undefined)?.error ?? error;
  }
  assert(chunks === file.chunks && bytes === file.sizeBytes, `all of ${file.path} was written`);
  meter.item();
}

/** Whether an earlier try wrote the file, and it still is what it was then. */
async function isWhole({target, ids}: Work, file: CatalogFile): Promise<boolean> {
  const found = await target.finished(file);
  if (found === undefined) return false;
  let block = 0;
  const memory = Buffer.allocUnsafeSlow(file.blockBytes);
  for await (const bytes of inBlocks(found, () => memory)) {
    if (block >= file.chunks || chunkId(bytes) !== ids.at(file.firstChunk + block)) return false;
    block++;
  }
  return block === file.chunks;
}

/** In the words of the original, with the file that the damaged chunk belongs to. */
function namedDamage({ids}: Work, batch: readonly CatalogFile[], error: BkpError): unknown {
  const {chunk} = error.context;
  const file = batch.find((candidate) => {
    for (let n = 0; n < candidate.chunks; n++) if (ids.at(candidate.firstChunk + n) === chunk) return true;
    return false;
  });
  // A list of the vault's own, say: the error tells what it is.
  if (file === undefined) return new DamagedFile(batch[0]!, error);
  const actual = error.code === 'OBJECT_MISSING' ? 'missing' : 'unreadable';
  return new DamagedFile(
    file,
    new BkpError('OBJECT_DAMAGED', `hash mismatch [path=${file.path}, expected=${chunk}, actual=${actual}]`, {
      cause: error,
      next: 'restore an earlier backup (TO TIMESTAMP); VERIFY DATABASE tells what else is damaged',
      context: {...error.context, path: file.path, ...(file.table === undefined ? {} : {table: file.table})},
    }),
  );
}
