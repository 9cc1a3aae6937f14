import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ChunkId, Finding} from '../types.ts';

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
