import {promisify} from 'node:util';
import {
  constants,
  type ZstdOptions,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/** Output is collected in pieces of this part of the input: few calls into the thread pool, little slack held. */
const outputPart = 0.5;

/** The window must reach from the end of the content back over the whole dictionary; 27 is what every zstd decodes unasked. */
const windowLogFor = (bytes: number) => Math.min(27, Math.max(17, Math.ceil(Math.log2(bytes + 1))));

export type CompressOptions = {
  level: number;
  /** Raw content that the plain bytes resemble. */
  dictionary?: Uint8Array;
};

function compression(plain: Uint8Array, {level, dictionary}: CompressOptions): ZstdOptions {
  const params = {[constants.ZSTD_c_compressionLevel]: level};
  const options = {
    chunkSize: Math.max(1024, Math.ceil(plain.length * outputPart)),
    pledgedSrcSize: plain.length,
    params,
  };
  if (dictionary === undefined) return options;
  params[constants.ZSTD_c_windowLog] = windowLogFor(plain.length + dictionary.length);
  return {...options, dictionary};
}

/** Less than this takes less time than its way to the thread pool and back. */
const smallBytes = 8 * 1024;

/** One zstd frame. Runs on the thread pool, when it is worth it. */
export async function compress(plain: Uint8Array, options: CompressOptions): Promise<Buffer> {
  return plain.length < smallBytes ? compressNow(plain, options) : compressAsync(plain, compression(plain, options));
}

/** The same on the thread that calls. */
export const compressNow = (plain: Uint8Array, options: CompressOptions): Buffer =>
  zstdCompressSync(plain, compression(plain, options));

function decompression(plainBytes: number, dictionary: Uint8Array | undefined): ZstdOptions {
  return {
    // One piece, with a little room: an exactly full one would make zlib ask for a second.
    chunkSize: Math.max(64, plainBytes + 16),
    maxOutputLength: plainBytes,
    ...(dictionary === undefined ? {} : {dictionary}),
  };
}

/**
 * The plain bytes, which are at most `plainBytes`: a frame that grows beyond that is refused. Runs on the thread pool, when it is
 * worth it.
 */
export async function decompress(stored: Uint8Array, plainBytes: number, dictionary?: Uint8Array): Promise<Buffer> {
  if (plainBytes < smallBytes) return decompressNow(stored, plainBytes, dictionary);
  return decompressAsync(stored, decompression(plainBytes, dictionary));
}

/** The same on the thread that calls. */
export const decompressNow = (stored: Uint8Array, plainBytes: number, dictionary?: Uint8Array): Buffer =>
  zstdDecompressSync(stored, decompression(plainBytes, dictionary));

/** Begins like a trained dictionary, or is too short: zstd would not take it as raw content. */
export function canBeDictionary(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  return !(bytes[0] === 0x37 && bytes[1] === 0xa4 && bytes[2] === 0x30 && bytes[3] === 0xec);
}
