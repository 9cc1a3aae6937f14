import type {Key} from '../../stores/index.ts';
import type {ChunkId, PackId} from '../types.ts';
import {damaged} from './damage.ts';
import {idBytes, readId, toBytes} from './hash.ts';
import {maxChunkBytes} from './limits.ts';

/** How a chunk's plain bytes are stored. */
export const chunkEncodings = {plain: 0, zstd: 1, zstdWithBase: 2, zstdOfFiltered: 3} as const;
export type ChunkEncoding = (typeof chunkEncodings)[keyof typeof chunkEncodings];

/** One chunk of one pack. `offset` counts from the beginning of the pack. */
export type Entry = {
  id: ChunkId;
  offset: number;
  storedBytes: number;
  plainBytes: number;
  encoding: ChunkEncoding;
  /** The chunk whose plain bytes are the dictionary; only with `zstdWithBase`. */
  base?: ChunkId | undefined;
};

/** One pack as an index lists it. */
export type PackListing = {id: PackId; lengthBytes: number; entries: readonly Entry[]};

const fixedBytes = idBytes + 4 + 4 + 1;

/** Length of the entry in a table. */
export const entryBytes = (entry: Pick<Entry, 'base'>) => fixedBytes + (entry.base === undefined ? 0 : idBytes);

/** Encodes entries in the order of their chunks; offsets follow from the lengths. */
export function encodeEntries(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
  let at = 0;
  for (const entry of entries) {
    toBytes(entry.id).copy(bytes, at);
    bytes.writeUInt32LE(entry.storedBytes, at + idBytes);
    bytes.writeUInt32LE(entry.plainBytes, at + idBytes + 4);
    bytes[at + idBytes + 8] = entry.encoding;
    if (entry.base !== undefined) toBytes(entry.base).copy(bytes, at + fixedBytes);
    at += entryBytes(entry);
  }
  return bytes;
}

/**
 * Decodes `count` entries (absent: all up to the end), beginning at `at`.
 * @returns the entries and the position after the last one
 * @throws BkpError `OBJECT_DAMAGED`
 */
export function decodeEntries(payload: Uint8Array, key: Key, at = 0, count?: number): {entries: Entry[]; end: number} {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const entries: Entry[] = [];
  let position = at;
  let offset = 0;
  while (count === undefined ? position < bytes.length : entries.length < count) {
    if (position + fixedBytes > bytes.length) throw damaged(key, 'its table ends within an entry');
    const id = readId<ChunkId>(bytes, position);
    const storedBytes = bytes.readUInt32LE(position + idBytes);
    const plainBytes = bytes.readUInt32LE(position + idBytes + 4);
    const encoding = bytes[position + idBytes + 8]!;
    if (!isEncoding(encoding)) throw damaged(key, `chunk ${id} has the unknown encoding ${encoding}`);
    if (plainBytes > maxChunkBytes) throw damaged(key, `chunk ${id} has an impossible length`);
    position += fixedBytes;
    const common = {id, offset, storedBytes, plainBytes, encoding};
    if (encoding === chunkEncodings.zstdWithBase) {
      if (position + idBytes > bytes.length) throw damaged(key, 'its table ends within an entry');
      entries.push({...common, base: readId<ChunkId>(bytes, position)});
      position += idBytes;
    } else {
      entries.push(common);
    }
    offset += storedBytes;
  }
  return {entries, end: position};
}

export const isEncoding = (value: number): value is ChunkEncoding =>
  (Object.values(chunkEncodings) as number[]).includes(value);
