import type {Meter} from '../../backups/index.ts';
import {assert, BkpError} from '../../errors/index.ts';
import {inBlocks} from '../../lib/blocks.ts';
import type {FileTarget} from '../../sources/index.ts';
import {type ChunkId, chunkId, type IdList, isDamage, type VaultReader} from '../../vault/index.ts';
import type {CatalogFile} from '../stored/catalog.ts';

/**
 * Limits of a batch. Its files are read as one stream, because neighbours are stored together: that needs few
 * reads of the store.
 */
const batchFiles = 256;
const batchBytes = 16 * 1024 * 1024;
/** Chunk ids of one read: less than 1 MiB as strings, for half a GiB of a file in blocks of 64 KiB. */
const idsPerRead = 8192;

export type RestoreWork = {vault: VaultReader; target: FileTarget; meter: Meter; ids: IdList; signal: AbortSignal};

/** Thrown for a file that cannot be restored, with the error that the user sees. */
export class DamagedFile extends Error {
  readonly tables: readonly string[];
  readonly reported: BkpError;

  constructor(file: CatalogFile, reported: BkpError) {
    super(reported.message);
    this.tables = file.table === undefined ? [] : [file.table];
    this.reported = reported;
  }
}

/** Splits the files into batches that are read as one stream each. */
export function* batchesOf(files: readonly CatalogFile[]): Generator<CatalogFile[]> {
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

/** @returns how many files existed already, complete */
export async function restoreBatch(work: RestoreWork, batch: readonly CatalogFile[]): Promise<number> {
  const {meter, signal} = work;
  const missing: CatalogFile[] = [];
  for (const file of batch) {
    signal.throwIfAborted();
    if (!(await isIntact(work, file))) {
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

/** The chunks of the files, in order. Only a limited number of ids is in memory. */
async function* readFiles(
  {vault, ids, signal}: RestoreWork,
  files: readonly CatalogFile[],
): AsyncGenerator<Uint8Array> {
  let chunks: ChunkId[] = [];
  let sizeBytes = 0;
  for (const file of files) {
    for (let n = 0; n < file.chunks; n++) {
      chunks.push(ids.at(file.firstChunk + n));
      sizeBytes += Math.min(file.blockBytes, file.sizeBytes - n * file.blockBytes);
      if (chunks.length < idsPerRead) continue;
      yield* vault.read({sizeBytes, depth: 0, chunks}, {signal, borrowed: true});
      [chunks, sizeBytes] = [[], 0];
    }
  }
  if (chunks.length > 0) yield* vault.read({sizeBytes, depth: 0, chunks}, {signal, borrowed: true});
}

async function restoreFile(
  {target, meter}: RestoreWork,
  file: CatalogFile,
  stream: AsyncIterator<Uint8Array>,
): Promise<void> {
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
    // Damage in the vault is reported as such, even if the target wraps the error.
    throw (failure as {error: unknown} | undefined)?.error ?? error;
  }
  assert(chunks === file.chunks && bytes === file.sizeBytes, `all of ${file.path} was written`);
  meter.item();
}

/** True if an earlier try wrote the file and its bytes are still those of the backup. */
async function isIntact({target, ids}: RestoreWork, file: CatalogFile): Promise<boolean> {
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

/** QuestDB's own wording, with the file that the damaged chunk belongs to. */
function namedDamage({ids}: RestoreWork, batch: readonly CatalogFile[], error: BkpError): unknown {
  const {chunk} = error.context;
  const file = batch.find((candidate) => {
    for (let n = 0; n < candidate.chunks; n++) if (ids.at(candidate.firstChunk + n) === chunk) return true;
    return false;
  });
  // The damaged chunk is no part of a file, e.g. it is a list of chunk ids: the error itself names it.
  if (file === undefined) return new DamagedFile(batch[0]!, error);
  const actual = error.code === 'OBJECT_MISSING' ? 'missing' : 'unreadable';
  return new DamagedFile(
    file,
    new BkpError('OBJECT_DAMAGED', `hash mismatch [path=${file.path}, expected=${chunk}, actual=${actual}]`, {
      cause: error,
      next: 'restore an earlier backup (TO TIMESTAMP); VERIFY DATABASE names what else is damaged',
      context: {...error.context, path: file.path, ...(file.table === undefined ? {} : {table: file.table})},
    }),
  );
}
