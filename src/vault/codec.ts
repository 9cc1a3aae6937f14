import {assert, unreachable} from '../errors/index.ts';
import {type ChunkEncoding, chunkEncodings} from './entry.ts';
import {chunkId} from './hash.ts';
import type {ChunkId} from './types.ts';
import {canBeDictionary, compress, decompress} from './zstd.ts';

/** Compression that saves less than this part of a chunk is not worth the time at every reading. */
const worthSaving = 0.03;

/** A difference must be this much smaller than the self-contained form, because it needs two chunks to be read. */
const worthABase = 0.5;

/** zstd's fastest levels have tables too small to find their way in a dictionary: 30 times larger results at level 1. */
const leastLevelWithBase = 3;

export type EncodedChunk = {encoding: ChunkEncoding; stored: Uint8Array; base?: ChunkId};

/** A chunk of the vault that a new one probably resembles, and how well it compressed by itself (stored / plain). */
export type Base = {id: ChunkId; plain: Uint8Array; ratio: number};

/** The smallest worthwhile stored form. */
export async function encodeChunk(plain: Uint8Array, level: number, base?: Base): Promise<EncodedChunk> {
  if (base === undefined || !canBeDictionary(base.plain)) return encodeAlone(plain, level);
  const stored = await compress(plain, {level: Math.max(level, leastLevelWithBase), dictionary: base.plain});
  const difference: EncodedChunk = {encoding: chunkEncodings.zstdWithBase, stored, base: base.id};
  // What the base took by itself is a good guess for its like, and saves compressing twice.
  if (stored.length < worthABase * base.ratio * plain.length) return difference;
  const alone = await encodeAlone(plain, level);
  return stored.length < worthABase * alone.stored.length ? difference : alone;
}

async function encodeAlone(plain: Uint8Array, level: number): Promise<EncodedChunk> {
  const stored = await compress(plain, {level});
  if (stored.length < plain.length * (1 - worthSaving)) return {encoding: chunkEncodings.zstd, stored};
  return {encoding: chunkEncodings.plain, stored: plain};
}

export type Decodable = {id: ChunkId; plainBytes: number; encoding: ChunkEncoding};

/**
 * The plain bytes of a chunk, checked against its id.
 * @param base plain bytes of the base; needed with `zstdWithBase`
 * @throws Error in words, when the stored bytes are not this chunk's; the caller knows where they came from
 */
export async function decodeChunk(chunk: Decodable, stored: Uint8Array, base?: Uint8Array): Promise<Uint8Array> {
  const plain = await decode(chunk, stored, base);
  if (plain.length !== chunk.plainBytes) throw new Error(`it has ${plain.length} bytes instead of ${chunk.plainBytes}`);
  if (chunkId(plain) !== chunk.id) throw new Error('its hash is not its id');
  return plain;
}

function decode(
  {encoding, plainBytes}: Decodable,
  stored: Uint8Array,
  base?: Uint8Array,
): Promise<Uint8Array> | Uint8Array {
  switch (encoding) {
    case chunkEncodings.plain:
      return stored;
    case chunkEncodings.zstd:
      return decompress(stored, plainBytes);
    case chunkEncodings.zstdWithBase:
      assert(base !== undefined, 'the base of a difference is at hand');
      return decompress(stored, plainBytes, base);
    default:
      return unreachable(encoding);
  }
}
