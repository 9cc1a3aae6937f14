import {free} from '../../lib/memory.ts';
import {isDamage} from '../format/damage.ts';
import {Hasher} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {runs} from '../read/runs.ts';
import type {PackCheck, PackContent} from './pack-check.ts';

/** One request reads at most this much (or one chunk), and no gaps. */
const limits = {readBytes: 4 * 1024 * 1024, gapBytes: 0};

/** Reads every byte of the pack, needed or not, and compares the hash of the pack with its name. */
export async function verifyAllBytes(
  check: PackCheck,
  {pack, lengthBytes, table}: PackContent,
  chunks: readonly Location[],
): Promise<void> {
  const {store, reader, recovery, findings, signal} = check;
  const key = packKey(pack);
  const needed = new Map(chunks.map((chunk) => [chunk.offset, chunk]));
  const hasher = new Hasher();
  let end = 0;
  try {
    for (const run of runs(table, limits)) {
      signal?.throwIfAborted();
      const start = end;
      end = run.at(-1)!.offset + run.at(-1)!.storedBytes;
      const bytes = await store.get(key, {start, end});
      hasher.update(bytes);
      const here = run.flatMap(({offset}) => needed.get(offset) ?? []);
      for (const chunk of await reader.chunks.notIntact(here, bytes, start, recovery)) {
        const where = {key, pack, chunk: chunk.id};
        await reader.chunks
          .decode(chunk, bytes, start, recovery)
          .catch((error: unknown) => findings.addError(error, where));
      }
      free(bytes);
    }
    hasher.update(await store.get(key, {start: end, end: lengthBytes}));
    // If a chunk was found damaged, the finding already says where the pack is wrong.
    if (hasher.hex() !== pack && !findings.damagedPacks().has(pack))
      findings.add({
        what: 'damaged',
        key,
        pack,
        needed: chunks.map(({id}) => id),
        detail: `the hash of pack ${pack} is not its name`,
      });
  } catch (error) {
    findings.addError(error, {key, pack});
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
