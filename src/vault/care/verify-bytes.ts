import {BkpError} from '../../errors/index.ts';
import {free} from '../../lib/memory.ts';
import type {ByteRange} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {Hasher} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {runs} from '../read/runs.ts';
import type {PackId} from '../types.ts';
import type {PackCheck, PackContent} from './pack-check.ts';

/** One request reads at most this much (or one chunk), and no gaps. */
const limits = {readBytes: 4 * 1024 * 1024, gapBytes: 0};

/** Reads every byte of the pack, needed or not, and compares the hash of the pack with its name. */
export async function verifyAllBytes(
  check: PackCheck,
  {pack, lengthBytes, table: entries}: PackContent,
  chunks: readonly Location[],
): Promise<void> {
  const {reader, recovery, findings, signal} = check;
  const key = packKey(pack);
  const needed = new Map(chunks.map((chunk) => [chunk.offset, chunk]));
  const hasher = new Hasher();
  let end = 0;
  let isAllRead = true;
  try {
    for (const run of runs(entries, limits)) {
      signal?.throwIfAborted();
      const start = end;
      end = run.at(-1)!.offset + run.at(-1)!.storedBytes;
      const here = run.flatMap(({offset}) => needed.get(offset) ?? []);
      const bytes = await readable(check, pack, {start, end});
      if (bytes === undefined) {
        // An unreadable sector; what is beside it may be intact.
        isAllRead = false;
        await verifyNeededBytes(check, here);
        continue;
      }
      hasher.update(bytes);
      for (const chunk of await reader.chunks.notIntact(here, bytes, start)) {
        const where = {key, pack, chunk: chunk.id};
        await reader.chunks
          .decode(chunk, bytes, start, recovery)
          .catch((error: unknown) => findings.addError(error, where));
      }
      free(bytes);
    }
    const table = isAllRead ? await readable(check, pack, {start: end, end: lengthBytes}) : undefined;
    if (table !== undefined) hasher.update(table);
    const isIntact = table !== undefined && hasher.hex() === pack;
    // If a chunk was found damaged, the finding already says where the pack is wrong.
    if (!isIntact && !findings.damagedPacks().has(pack))
      findings.add({
        what: 'damaged',
        key,
        pack,
        needed: chunks.map(({id}) => id),
        detail:
          table === undefined ? `a part of pack ${pack} cannot be read` : `the hash of pack ${pack} is not its name`,
      });
  } catch (error) {
    findings.addError(error, {key, pack});
  }
}

/** @returns undefined if the store cannot return these bytes of the pack */
async function readable({store}: PackCheck, pack: PackId, range: ByteRange): Promise<Uint8Array | undefined> {
  try {
    return await store.get(packKey(pack), range);
  } catch (error) {
    if (error instanceof BkpError && error.code === 'OBJECT_DAMAGED') return undefined;
    throw error;
  }
}

/** Reads and checks the needed chunks of a pack. */
export async function verifyNeededBytes(check: PackCheck, chunks: readonly Location[]): Promise<void> {
  for (const run of runs(chunks, limits)) await verifyRun(check, run);
}

/** Adjacent chunks. */
async function verifyRun(check: PackCheck, run: readonly Location[]): Promise<void> {
  check.signal?.throwIfAborted();
  try {
    await check.reader.chunks.checkRange(run, check.recovery);
  } catch (error) {
    const [first] = run;
    if (run.length === 1)
      check.findings.addError(error, {key: packKey(first!.pack), pack: first!.pack, chunk: first!.id});
    else if (!isDamage(error)) throw error;
    // To find out which chunks are at fault, check each one on its own.
    else for (const chunk of run) await verifyRun(check, [chunk]);
  }
}
