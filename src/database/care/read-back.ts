import {startMeter, type WorkTools} from '../../backups/index.ts';
import {forEachConcurrent} from '../../lib/async.ts';
import {inBlocks} from '../../lib/blocks.ts';
import type {RestoredDatabase} from '../../sources/index.ts';
import {chunkId, type IdList} from '../../vault/index.ts';
import type {CatalogFile} from '../stored/catalog.ts';

/** Files that are read concurrently. */
const filesAtOnce = 4;
/** Files that are named; the others are counted. */
const mostNamed = 20;

/**
 * Reads restored files from the disk again, and compares each block with the hash that the backup names.
 * @returns one sentence for each file that is not the one of the backup
 */
export async function readBack(
  {signal, progress}: Pick<WorkTools, 'signal' | 'progress'>,
  restored: RestoredDatabase,
  {files, ids}: {files: readonly CatalogFile[]; ids: IdList},
): Promise<readonly string[]> {
  const bytesTotal = files.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
  const meter = startMeter(
    {progress: (at) => progress({...at, phase: 'Check'})},
    {bytesTotal, itemsTotal: files.length},
  );
  const wrong: string[] = [];
  await forEachConcurrent(files, filesAtOnce, async (file) => {
    signal.throwIfAborted();
    const bytes = await restored.read(file);
    if (bytes === undefined) wrong.push(`${file.path} is missing, or has another length than in the backup`);
    else if (!(await isEqual(bytes, file, ids))) wrong.push(`${file.path}, read back, is not what the backup has`);
    meter.bytes(file.sizeBytes);
    meter.item();
  });
  const more = wrong.length - mostNamed;
  return more > 0 ? [...wrong.slice(0, mostNamed), `… and ${more} more files`] : wrong;
}

async function isEqual(bytes: AsyncIterable<Uint8Array>, file: CatalogFile, ids: IdList): Promise<boolean> {
  const memory = Buffer.allocUnsafeSlow(file.blockBytes);
  let block = 0;
  for await (const part of inBlocks(bytes, () => memory)) {
    if (block >= file.chunks || chunkId(part) !== ids.at(file.firstChunk + block)) return false;
    block++;
  }
  return block === file.chunks;
}
