import type {ChunkId, Recipe, VaultWriter} from '../../vault/index.ts';

/** A recipe of at most this many chunks lists them itself (`docs/format.md`, sealed objects). */
const inlineIds = 128;

/** Fewer would make more lists than they save; see {@link cutLists}. */
const leastListIds = 16;
const mostListIds = 4096;
/** On average a list ends after this many more ids: 2 to 3 KiB a list. */
const meanListIds = 64;

const idBytes = 32;

/** Chunk ids, 32 bytes each: a backup of a TiB in blocks of 64 KiB has 16 million of them. */
export class IdList {
  readonly #bytes: Buffer;
  readonly length: number;

  constructor(length: number) {
    this.#bytes = Buffer.alloc(length * idBytes);
    this.length = length;
  }

  static of(ids: readonly ChunkId[]): IdList {
    const list = new IdList(ids.length);
    for (const [at, id] of ids.entries()) list.set(at, id);
    return list;
  }

  set(at: number, id: ChunkId): void {
    this.#bytes.write(id, at * idBytes, 'hex');
  }

  at(at: number): ChunkId {
    return this.#bytes.toString('hex', at * idBytes, (at + 1) * idBytes) as ChunkId;
  }

  range(start: number, count: number): ChunkId[] {
    return Array.from({length: count}, (_, n) => this.at(start + n));
  }

  /** Their bytes, not copied. */
  bytes(start = 0, end = this.length): Buffer {
    return this.#bytes.subarray(start * idBytes, end * idBytes);
  }

  copyFrom(other: IdList, from: {start: number; count: number}, to: number): void {
    other.bytes(from.start, from.start + from.count).copy(this.#bytes, to * idBytes);
  }
}

/**
 * The recipe of a stream with these chunks. Its lists are cut by what they hold, not after a number: so ids that come or go in
 * one place change the lists there, and all others are in the vault already.
 */
export async function storeRecipe(writer: VaultWriter, ids: IdList, sizeBytes: number): Promise<Recipe> {
  let level = ids;
  let depth = 0;
  while (level.length > inlineIds) {
    const lists = cutLists(level);
    const upper = new IdList(lists.length);
    let at = 0;
    for await (const id of writer.writeChunks(lists)) upper.set(at++, id);
    level = upper;
    depth++;
  }
  return {sizeBytes, depth, chunks: level.range(0, level.length)};
}

/** A list ends after an id whose last byte says so, unless it is too short, or is too long. */
function cutLists(ids: IdList): {bytes: Buffer}[] {
  const lists: {bytes: Buffer}[] = [];
  const all = ids.bytes();
  let start = 0;
  for (let end = 1; end <= ids.length; end++) {
    const isCut = all[end * idBytes - 1]! % meanListIds === 0 && end - start >= leastListIds;
    if (!isCut && end - start < mostListIds && end < ids.length) continue;
    lists.push({bytes: ids.bytes(start, end)});
    start = end;
  }
  return lists;
}
