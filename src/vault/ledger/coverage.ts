import type {Location} from '../indexes/chunk-table.ts';
import type {Coverage, PackId} from '../types.ts';
import type {Ledger} from './ledger.ts';

/** What some streams need, pack by pack. */
export type NeededChunks = {
  /** Needed stored bytes of each pack. */
  packs(): ReadonlyMap<PackId, number>;
  chunksOf(pack: PackId): readonly Location[];
};

/** @param isSound false for a pack of which nothing counts: it was found damaged */
export function coverageOf(needed: NeededChunks, ledger: Ledger, isSound: (pack: PackId) => boolean): Coverage {
  let neededBytes = 0;
  let neverBytes = 0;
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const [pack, bytes] of needed.packs()) {
    neededBytes += bytes;
    const atMs = isSound(pack) ? ledger.verifiedMs(pack, () => needed.chunksOf(pack)) : undefined;
    if (atMs === undefined) neverBytes += bytes;
    else oldestMs = Math.min(oldestMs, atMs);
  }
  return {neededBytes, neverBytes, ...(Number.isFinite(oldestMs) ? {oldestMs} : {})};
}
