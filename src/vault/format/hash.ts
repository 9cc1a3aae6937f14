import {Blake3Hasher, blake3} from '@napi-rs/blake-hash';
import type {ChunkId, PackId} from '../types.ts';

/** Length of an id. */
export const idBytes = 32;

const idPattern = /^[0-9a-f]{64}$/;

/** BLAKE3-256, 32 bytes. */
export const hash = (bytes: Uint8Array): Buffer => blake3(bytes);

/** Hashes bytes that arrive in parts. */
export class Hasher {
  readonly #hasher = new Blake3Hasher();

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
  }

  hex(): string {
    return this.#hasher.digest('hex');
  }
}

export const hashHex = (bytes: Uint8Array): string => hash(bytes).toString('hex');

/** Names that were computed from bytes which do not change any more. */
const names = new WeakMap<Uint8Array, PackId>();

/** The id of a pack. @param bytes must not change as long as they are used */
export function packId(bytes: Uint8Array): PackId {
  const id = hashHex(bytes) as PackId;
  names.set(bytes, id);
  return id;
}

/** Whether a pack has this id; computed once for the same `bytes`. */
export const hasPackId = (bytes: Uint8Array, id: string | undefined): boolean =>
  (names.get(bytes) ?? hashHex(bytes)) === id;

export const chunkId = (plain: Uint8Array) => hashHex(plain) as ChunkId;

export const isId = (text: unknown): text is string => typeof text === 'string' && idPattern.test(text);

export const toBytes = (id: ChunkId | PackId): Buffer => Buffer.from(id, 'hex');

/** The id whose 32 bytes begin at `offset`. */
export function readId<Id extends ChunkId | PackId>(bytes: Uint8Array, offset = 0): Id {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, idBytes).toString('hex') as Id;
}
