import {promisify} from 'node:util';
import {constants, zstdCompress, zstdDecompress} from 'node:zlib';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/** Output is collected in pieces of this size: few calls into the thread pool, little slack held. */
const outputBytes = 256 * 1024;

/** The window must reach from the end of the content back over the whole dictionary; 27 is what every zstd decodes unasked. */
const windowLogFor = (bytes: number) => Math.min(27, Math.max(17, Math.ceil(Math.log2(bytes + 1))));

export type CompressOptions = {
  level: number;
  /** Raw content that the plain bytes resemble. */
  dictionary?: Uint8Array;
};

/** One zstd frame. Runs on the thread pool. */
export function compress(plain: Uint8Array, {level, dictionary}: CompressOptions): Promise<Buffer> {
  const params = {[constants.ZSTD_c_compressionLevel]: level};
  if (dictionary === undefined) {
    return compressAsync(plain, {chunkSize: outputBytes, pledgedSrcSize: plain.length, params});
  }
  params[constants.ZSTD_c_windowLog] = windowLogFor(plain.length + dictionary.length);
  return compressAsync(plain, {chunkSize: outputBytes, pledgedSrcSize: plain.length, params, dictionary});
}

/** The plain bytes, which are at most `plainBytes`: a frame that grows beyond that is refused. Runs on the thread pool. */
export function decompress(stored: Uint8Array, plainBytes: number, dictionary?: Uint8Array): Promise<Buffer> {
  return decompressAsync(stored, {
    // One piece, with a little room: an exactly full one would make zlib ask for a second.
    chunkSize: Math.max(64, plainBytes + 16),
    maxOutputLength: plainBytes,
    ...(dictionary === undefined ? {} : {dictionary}),
  });
}

/** Begins like a trained dictionary, or is too short: zstd would not take it as raw content. */
export function canBeDictionary(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  return !(bytes[0] === 0x37 && bytes[1] === 0xa4 && bytes[2] === 0x30 && bytes[3] === 0xec);
}
