import {createHash} from 'node:crypto';
import type {Key} from '../../stores/index.ts';
import {chunkId, hash} from '../format/hash.ts';
import type {ChunkId} from '../types.ts';
import type {CacheFile} from './cache-file.ts';

/**
 * Above this size the older half of the copies is removed. It fits ten thousand manifests, or the chunk lists
 * of a terabyte.
 */
const limitBytes = 64 * 1024 * 1024;

/**
 * Copies of small objects that need not be fetched again: manifests and documents, valid only for the version
 * that a recent listing showed, and lists of chunk ids, verified by their hash.
 */
export class ObjectCache {
  readonly #file: CacheFile;

  constructor(file: CacheFile) {
    this.#file = file;
  }

  /** @returns undefined if there is no copy of exactly this version */
  object(key: Key, {version, sizeBytes}: {version: string; sizeBytes: number}): Uint8Array | undefined {
    const bytes = this.#get(key, version);
    return bytes?.length === sizeBytes ? bytes : undefined;
  }

  /**
   * @param version default, for an object that was just written: the version that S3 gives an object put in one
   *   part
   */
  saveObject(key: Key, bytes: Uint8Array, version = likelyVersion(bytes)): void {
    if (version !== undefined) this.#put(key, version, bytes);
  }

  list(id: ChunkId): Uint8Array | undefined {
    const bytes = this.#get(listKey(id), '');
    return bytes !== undefined && chunkId(bytes) === id ? bytes : undefined;
  }

  saveList(id: ChunkId, bytes: Uint8Array): void {
    this.#put(listKey(id), '', bytes);
  }

  #get(key: string, version: string): Uint8Array | undefined {
    const sql = 'SELECT checksum, bytes FROM objects WHERE key = ? AND version = ?';
    const [row] = this.#file.all(sql, [key, version], (found) => found);
    if (!(row?.bytes instanceof Uint8Array && row.checksum instanceof Uint8Array)) return undefined;
    // A file with flipped bits may return the bytes of another row.
    return checksumOf(key, version, row.bytes).equals(row.checksum) ? row.bytes : undefined;
  }

  #put(key: string, version: string, bytes: Uint8Array): void {
    const checksum = checksumOf(key, version, bytes);
    this.#file.change(() => {
      const sql = 'INSERT OR REPLACE INTO objects (key, version, size, checksum, bytes) VALUES (?, ?, ?, ?, ?)';
      this.#file.run(sql, key, version, bytes.length, checksum, bytes);
      const [total] = this.#file.rows('SELECT sum(size) AS n FROM objects');
      if (Number(total?.n) <= limitBytes) return;
      this.#file.run('DELETE FROM objects WHERE rowid <= (SELECT (min(rowid) + max(rowid)) / 2 FROM objects)');
    });
  }
}

const listKey = (id: ChunkId) => `list ${id}`;

const checksumOf = (key: string, version: string, bytes: Uint8Array): Buffer =>
  hash(Buffer.concat([Buffer.from(`${key}\n${version}\n`), bytes]));

/**
 * The MD5 of the bytes. S3 uses it as the version (ETag) of an object that was put in one part, unless it
 * encrypts with a key of the user's. A wrong guess means that the copy is never used; a right one proves that
 * the store has exactly these bytes.
 */
function likelyVersion(bytes: Uint8Array): string | undefined {
  try {
    return createHash('md5').update(bytes).digest('hex');
  } catch {
    // Some builds of Node have no MD5.
    return undefined;
  }
}
