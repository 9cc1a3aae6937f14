import {free} from '../../lib/memory.ts';
import type {Store} from '../../stores/index.ts';
import type {StoredBase} from '../codec/decode.ts';
import {packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId, PackId} from '../types.ts';
import {chunkMissing} from './recovery.ts';
import {runs} from './runs.ts';

/** The bases of one group: they are about as large as its chunks. */
const readBytes = 4 * 1024 * 1024;

/**
 * Reads chunks that others are stored as differences to, as they are stored, adjacent ones with one request. Each has
 * memory of its own, and is not checked.
 * @throws BkpError `OBJECT_MISSING`, and what the store throws
 */
export async function storedBases(
  store: Store,
  index: ChunkIndex,
  ids: ReadonlySet<ChunkId>,
): Promise<ReadonlyMap<ChunkId, StoredBase>> {
  const packs = Map.groupBy(
    [...ids].map((id) => selfContained(index, id)),
    ({pack}) => pack,
  );
  const read = async (pack: PackId, run: readonly Location[]): Promise<StoredBase[]> => {
    const start = run[0]!.offset;
    const last = run.at(-1)!;
    const bytes = await store.get(packKey(pack), {start, end: last.offset + last.storedBytes});
    const part = ({offset, storedBytes}: Location) => bytes.subarray(offset - start, offset - start + storedBytes);
    const isAlone = run.length === 1;
    const bases = run.map((location) => {
      const {id, plainBytes, encoding} = location;
      return {id, plainBytes, encoding, stored: isAlone ? bytes : new Uint8Array(part(location))};
    });
    if (!isAlone) free(bytes);
    return bases;
  };
  const requests = [...packs].flatMap(([pack, locations]) => {
    const inOrder = locations.sort((one, other) => one.offset - other.offset);
    return [...runs(inOrder, {gapBytes: 0, readBytes})].map((run) => read(pack, run));
  });
  const bases = (await Promise.all(requests)).flat();
  return new Map(bases.map((base) => [base.id, base]));
}

/** Only such a form: a damaged table could name two chunks as each other's bases. */
function selfContained(index: ChunkIndex, id: ChunkId): Location {
  const location = index.locations(id).find(({base}) => base === undefined);
  if (location === undefined) throw chunkMissing(id);
  return location;
}
