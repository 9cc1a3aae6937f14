import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import type {ChunkId, Finding, PackId} from '../types.ts';

/** Why a chunk that is needed cannot be read from any location. */
export function lost(index: ChunkIndex, chunk: ChunkId): Finding {
  const [location] = index.namedLocations(chunk);
  if (location === undefined) return {what: 'missing', chunk, detail: `chunk ${chunk} is in no pack of the vault`};
  const {pack, base} = location;
  const detail = index.absentPacks().has(pack)
    ? `pack ${pack}, which has chunk ${chunk}, is missing or has the wrong length`
    : `chunk ${chunk} is a difference to chunk ${base}, which is lost`;
  return {what: 'missing', chunk, key: packKey(pack), pack, detail};
}

/**
 * Packs that an earlier verification found damaged, or that have the wrong length, and of which nothing that is
 * verified now needs a chunk. They do no harm, and stay until a collector removes them.
 */
export function unneededDamage(
  index: ChunkIndex,
  inStore: PacksInStore,
  needed: {has: (pack: PackId) => boolean},
): readonly Finding[] {
  const found: Finding[] = [];
  const add = (pack: PackId, detail: string) => found.push({what: 'damaged', key: packKey(pack), pack, detail});
  for (const [pack, {lengthBytes}] of inStore) {
    if (needed.has(pack)) continue;
    const known = index.packLength(pack);
    if (known !== undefined && known !== lengthBytes)
      add(pack, `pack ${pack} has ${lengthBytes} bytes instead of ${known}`);
    else if (index.isDistrusted(pack)) add(pack, `an earlier VERIFY found pack ${pack} damaged`);
  }
  return found;
}
