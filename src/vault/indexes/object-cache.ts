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

/** Seals copies as the objects in the store are sealed, with the same result for the same object. */
export type CopySeal = {
  seal(key: string, bytes: Uint8Array): Uint8Array;
  open(key: string, sealed: Uint8Array): Uint8Array;
};

/**
 * Copies of small objects that need not be fetched again: manifests and documents, valid only for the version
 * that a recent listing showed, and lists of chunk ids, verified by their hash.
 */
export class ObjectCache {
  readonly #file: CacheFile;
  readonly #seal: CopySeal | undefined;

  /** @param seal of an encrypted vault: its copies are as sealed as its objects */
  constructor(file: CacheFile, seal?: CopySeal) {
    this.#file = file;
    this.#seal = seal;
  }

  /** @returns undefined if there is no copy of exactly this version */
  object(key: Key, {version, sizeBytes}: {version: string; sizeBytes: number}): Uint8Array | undefined {
    const copy = this.#get(key, version);
    return copy?.length === sizeBytes ? this.#open(key, copy) : undefined;
  }

  /**
   * @param seen as a listing showed it; default, for an object that was just written: the version that S3 gives an
   *   object put in one part
   */
  saveObject(key: Key, bytes: Uint8Array, seen?: {version: string; sizeBytes: number}): void {
    const copy = this.#seal?.seal(key, bytes) ?? bytes;
    if (seen !== undefined && seen.sizeBytes !== copy.length) return;
    const version = seen?.version ?? likelyVersion(copy);
    if (version !== undefined) this.#put(key, version, copy);
  }

  list(id: ChunkId): Uint8Array | undefined {
    const copy = this.#get(listKey(id), '');
    const bytes = copy && this.#open(listKey(id), copy);
    return bytes !== undefined && chunkId(bytes) === id ? bytes : undefined;
  }

  saveList(id: ChunkId, bytes: Uint8Array): void {
    this.#put(listKey(id), '', this.#seal?.seal(listKey(id), bytes) ?? bytes);
  }

  /** @returns undefined if the copy is of no use: the object is read from the store instead */
  #open(key: string, copy: Uint8Array): Uint8Array | undefined {
    if (this.#seal === undefined) return copy;
    try {
      return this.#seal.open(key, copy);
    } catch {
      return undefined;
    }
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
