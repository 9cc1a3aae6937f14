import {promisify} from 'node:util';
import {
  constants,
  type ZstdOptions,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import {free} from '../../lib/memory.ts';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/**
 * The most bytes that a frame can have. With this much room for output, zstd compresses the input where it is; with
 * less, it first copies it into a window of its own, which takes a tenth of the time.
 */
const frameBound = (plainBytes: number) => plainBytes + (plainBytes >> 8) + 1024;

/**
 * The window must reach from the end of the content back over the whole dictionary. Every zstd decodes up to 27
 * by default.
 */
const windowLogFor = (bytes: number) => Math.min(27, Math.max(17, Math.ceil(Math.log2(bytes + 1))));

/** From this level on, zstd's own tables are large enough to find matches in a dictionary. */
const levelForDictionary = 3;

/**
 * The tables of the fastest levels forget most of a dictionary: results are 30 times larger. With a larger table level
 * 1 finds what level 3 does, in three quarters of its time.
 */
const dictionaryHashLog = (windowLog: number) => Math.min(20, Math.max(15, windowLog - 4));

export type CompressOptions = {
  level: number;
  /** Raw content that the plain bytes resemble. */
  dictionary?: Uint8Array;
};

function compression(plain: Uint8Array, {level, dictionary}: CompressOptions): ZstdOptions {
  const params = {[constants.ZSTD_c_compressionLevel]: level};
  const options = {
    chunkSize: frameBound(plain.length),
    pledgedSrcSize: plain.length,
    params,
  };
  if (dictionary === undefined) return options;
  const windowLog = windowLogFor(plain.length + dictionary.length);
  params[constants.ZSTD_c_windowLog] = windowLog;
  if (level < levelForDictionary) params[constants.ZSTD_c_hashLog] = dictionaryHashLog(windowLog);
  // In one shot zstd finds less in a dictionary: a chunk with two changed bytes took 1,098 bytes instead of 191.
  return {...options, chunkSize: Math.max(1024, Math.ceil(plain.length / 2)), dictionary};
}

/** Smaller inputs take less time than the way to the thread pool and back. */
const smallBytes = 8 * 1024;

/** Compresses to one zstd frame; larger inputs on the thread pool. */
export async function compress(plain: Uint8Array, options: CompressOptions): Promise<Buffer> {
  if (plain.length < smallBytes) return compressNow(plain, options);
  return trimmed(await compressAsync(plain, compression(plain, options)));
}

/** As {@link compress}, on the calling thread. */
export const compressNow = (plain: Uint8Array, options: CompressOptions): Buffer =>
  trimmed(zstdCompressSync(plain, compression(plain, options)));

/** The bytes in memory of their own length: zlib returns a part of what it allocated for the largest frame. */
function trimmed(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  free(frame);
  return copy;
}

function decompression(plainBytes: number, dictionary: Uint8Array | undefined): ZstdOptions {
  return {
    // One piece, with some spare room: zlib asks for a second piece when the first is exactly full.
    chunkSize: Math.max(64, plainBytes + 16),
    maxOutputLength: plainBytes,
    ...(dictionary === undefined ? {} : {dictionary}),
  };
}

/**
 * Decompresses to at most `plainBytes`; refuses a frame that grows beyond that. Larger outputs are decompressed
 * on the thread pool.
 */
export async function decompress(stored: Uint8Array, plainBytes: number, dictionary?: Uint8Array): Promise<Buffer> {
  if (plainBytes < smallBytes) return decompressNow(stored, plainBytes, dictionary);
  return decompressAsync(stored, decompression(plainBytes, dictionary));
}

/** As {@link decompress}, on the calling thread. */
export const decompressNow = (stored: Uint8Array, plainBytes: number, dictionary?: Uint8Array): Buffer =>
  zstdDecompressSync(stored, decompression(plainBytes, dictionary));

/**
 * Whether zstd accepts the bytes as raw content. It does not if they are shorter than 8 bytes, or begin like a
 * trained dictionary.
 */
export function canBeDictionary(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  return !(bytes[0] === 0x37 && bytes[1] === 0xa4 && bytes[2] === 0x30 && bytes[3] === 0xec);
}
