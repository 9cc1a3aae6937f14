import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {runs} from '../read/runs.ts';
import type {PackId} from '../types.ts';
import type {CopyPlan} from './copy-plan.ts';

/** If at least this part of a pack is copied, one request reads all of it. */
const readAllFrom = 0.5;

/** Otherwise one request reads at most this much, and drops gaps that cost less than another request. */
const limits = {readBytes: 8 * 1024 * 1024, gapBytes: 256 * 1024};

/** A part of a pack, read with one request, and the chunks in it that are copied. */
export type CopyRead = {pack: PackId; start: number; end: number; chunks: readonly Location[]};

/** The requests to the source that bring all chunks of the plan. */
export function* copyReads(plan: CopyPlan, source: ChunkIndex): Iterable<CopyRead> {
  for (const pack of plan.packs()) {
    const chunks = plan.chunksOf(pack);
    const copiedBytes = chunks.reduce((sum, {storedBytes}) => sum + storedBytes, 0);
    const isMostlyCopied = copiedBytes >= source.chunkBytes(pack) * readAllFrom;
    for (const run of isMostlyCopied ? [chunks] : runs(chunks, limits)) {
      const last = run.at(-1)!;
      yield {pack, start: run[0]!.offset, end: last.offset + last.storedBytes, chunks: run};
    }
  }
}
