import {notKept, type Store} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {type IndexId, indexKey, packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Lease} from '../lease/lease.ts';
import type {Closure} from '../read/closure.ts';
import {Recovery} from '../read/recovery.ts';
import {runs} from '../read/runs.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {PackId} from '../types.ts';
import {PackWriter} from '../write/pack-writer.ts';

/** Adjacent chunks that one request reads. */
const limits = {gapBytes: 0, readBytes: 1024 * 1024};

export type RewriteDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  lease: Lease;
  randomId: () => string;
};

/**
 * Copies the needed chunks of packs into new packs, each complete. A pack with damage stays as it is.
 * @param onPack called after each pack
 * @returns `packs`: those that nothing needs any more; `written`: the new ones
 */
export async function rewritePacks(
  {store, index, reader, lease, randomId}: RewriteDeps,
  toRewrite: readonly PackId[],
  closure: Closure,
  {signal, onPack}: {signal: AbortSignal | undefined; onPack: () => void},
): Promise<{packs: readonly PackId[]; written: readonly PackId[]}> {
  const written: PackId[] = [];
  const onStored = (_: number, pack?: PackId) => {
    if (pack !== undefined) written.push(pack);
  };
  const writer = new PackWriter({store, index, limits: {inMemory: 1}, randomId, onStored});
  const recovery = new Recovery(index);
  const packs: PackId[] = [];
  for (const pack of toRewrite) {
    signal?.throwIfAborted();
    await lease.confirm();
    const chunks = closure.chunksOf(pack);
    try {
      // All are checked before the first one is copied: moving half a pack would free nothing.
      for (const run of runs(chunks, limits)) await reader.chunks.checkRange(run, recovery);
    } catch (error) {
      if (!isDamage(error)) throw error;
      continue;
    }
    for (const run of runs(chunks, limits)) {
      const [first, last] = [run[0]!, run.at(-1)!];
      const bytes = await store.get(packKey(pack), {start: first.offset, end: last.offset + last.storedBytes});
      for (const {id, offset, storedBytes: length, plainBytes, encoding, base} of run) {
        const stored = bytes.subarray(offset - first.offset, offset - first.offset + length);
        await writer.append({id, plainBytes, encoding, stored, base});
      }
    }
    packs.push(pack);
    onPack();
  }
  await writer.flush();
  return {packs, written};
}

/**
 * To be called before what these replace is removed: the store may have confirmed their puts and not kept them.
 * Confirms the lease as well.
 * @throws BkpError `STORE_UNAVAILABLE` | `VAULT_LOCKED`
 */
export async function requireListed(
  {index, lease}: Pick<RewriteDeps, 'index' | 'lease'>,
  {packs, indexes}: {packs: readonly PackId[]; indexes: readonly IndexId[]},
): Promise<void> {
  if (packs.length + indexes.length === 0) return lease.confirm();
  const {listing} = await lease.confirmBy(() => index.observe());
  const isKept = (pack: PackId) => listing.packs.get(pack)?.lengthBytes === index.packLength(pack);
  const lostPack = packs.find((pack) => !isKept(pack));
  if (lostPack !== undefined) throw notKept(packKey(lostPack));
  const lostIndex = [...indexes, ...packs.flatMap((pack) => index.indexesOfPack(pack))].find(
    (id) => !listing.indexes.has(id),
  );
  if (lostIndex !== undefined) throw notKept(indexKey(lostIndex));
}
