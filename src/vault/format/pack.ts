import {assert} from '../../errors/index.ts';
import {free} from '../../lib/memory.ts';
import {padded} from '../../lib/padding.ts';
import type {Key, Store} from '../../stores/index.ts';
import type {PackId} from '../types.ts';
import {damaged} from './damage.ts';
import {decodeEntries, type Entry, encodeEntries} from './entry.ts';
import {packKey} from './key.ts';
import {fullPackStepBytes, packMaxBytes, packMaxEntries, packTableReserveBytes, packTargetBytes} from './limits.ts';
import {seal, unseal} from './sealed.ts';

const magic = Buffer.from('BKPPACK1');
const trailerBytes = 4 + magic.length;

/** Most tables fit into one read of this length from the end of the pack. */
const tailGuessBytes = 64 * 1024;

/** Fits most packs of small backups; a buffer that is too small doubles. */
const firstBufferBytes = 512 * 1024;

/** Most chunks, and the table behind them, are smaller. */
const beyondTargetBytes = 1024 * 1024;

/**
 * A pack that is being filled, in a buffer that is reused for the next pack. Chunks are copied into it, so that the
 * memory of each can be used again or freed.
 */
export class PackBuffer {
  #bytes = Buffer.allocUnsafeSlow(firstBufferBytes);
  #entries: Entry[] = [];
  #length = 0;
  readonly #targetBytes: number;

  /** @param targetBytes it is full when its chunks have this size */
  constructor(targetBytes = packTargetBytes) {
    this.#targetBytes = targetBytes;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get isFull(): boolean {
    return this.#length >= this.#targetBytes || this.#entries.length >= packMaxEntries;
  }

  hasRoomFor(storedBytes: number): boolean {
    return this.#length + storedBytes <= packMaxBytes - packTableReserveBytes;
  }

  append(entry: Omit<Entry, 'offset' | 'storedBytes'>, stored: Uint8Array): void {
    assert(this.hasRoomFor(stored.length) && !this.isFull, 'a chunk is appended to a pack that has room for it');
    this.#reserve(this.#length + stored.length);
    this.#bytes.set(stored, this.#length);
    this.#entries.push({...entry, offset: this.#length, storedBytes: stored.length});
    this.#length += stored.length;
  }

  /**
   * The complete pack; valid until `clear`.
   * @param salt hex digits that make its content, and so its name, unique
   * @param options.isFilled fill it up, so that its length says little. Default false
   */
  async finish(salt: string, {isFilled = false} = {}): Promise<{bytes: Uint8Array; entries: readonly Entry[]}> {
    const fill = (tableBytes: number) => (isFilled ? this.#fillBytes(this.#length + tableBytes + trailerBytes) : 0);
    const table = await seal('packTable', encodeEntries(this.#entries), salt, fill);
    const lengthBytes = this.#length + table.length + trailerBytes;
    assert(lengthBytes <= packMaxBytes, 'a pack’s table fits into its reserve');
    this.#reserve(lengthBytes);
    this.#bytes.set(table, this.#length);
    this.#bytes.writeUInt32LE(table.length, lengthBytes - trailerBytes);
    this.#bytes.set(magic, lengthBytes - magic.length);
    return {bytes: this.#bytes.subarray(0, lengthBytes), entries: this.#entries};
  }

  #reserve(lengthBytes: number): void {
    if (lengthBytes <= this.#bytes.length) return;
    const full = this.#targetBytes + beyondTargetBytes;
    // The last chunk of a full pack goes beyond the target: doubling then would copy the whole pack.
    const wanted = lengthBytes <= full && 2 * this.#bytes.length >= this.#targetBytes ? full : 2 * this.#bytes.length;
    const larger = Buffer.allocUnsafeSlow(Math.min(packMaxBytes, Math.max(lengthBytes, wanted)));
    larger.set(this.#bytes.subarray(0, this.#length));
    // The garbage collector would keep up to 31 MiB of smaller ones for each pack.
    free(this.#bytes);
    this.#bytes = larger;
  }

  clear(): void {
    this.#entries = [];
    this.#length = 0;
  }

  #fillBytes(lengthBytes: number): number {
    if (lengthBytes < this.#targetBytes) return Math.min(padded(lengthBytes), this.#targetBytes) - lengthBytes;
    return (fullPackStepBytes - (lengthBytes % fullPackStepBytes)) % fullPackStepBytes;
  }
}

/**
 * The table of a pack in the store, which holds the same entries as an index.
 * @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED`
 */
export async function readPackTable(store: Pick<Store, 'get'>, pack: PackId, lengthBytes: number): Promise<Entry[]> {
  const key = packKey(pack);
  if (lengthBytes < trailerBytes) throw damaged(key, 'it is too short');
  let tailBytes = Math.min(lengthBytes, tailGuessBytes);
  let tail = await readTail(store, key, lengthBytes, tailBytes);
  if (!tail.subarray(-magic.length).equals(magic)) throw damaged(key, 'it does not end like a pack');
  const tableBytes = tail.readUInt32LE(tail.length - trailerBytes);
  if (tableBytes + trailerBytes > lengthBytes) throw damaged(key, 'its table is longer than the pack');
  if (tableBytes + trailerBytes > tailBytes) {
    tailBytes = tableBytes + trailerBytes;
    tail = await readTail(store, key, lengthBytes, tailBytes);
  }
  const table = tail.subarray(tail.length - trailerBytes - tableBytes, tail.length - trailerBytes);
  const {entries} = decodeEntries(await unseal('packTable', table, key), key);
  const last = entries.at(-1);
  const chunkBytes = last === undefined ? 0 : last.offset + last.storedBytes;
  if (chunkBytes !== lengthBytes - trailerBytes - tableBytes) throw damaged(key, 'its length does not match its table');
  return entries;
}

async function readTail(store: Pick<Store, 'get'>, key: Key, lengthBytes: number, tailBytes: number): Promise<Buffer> {
  const bytes = await store.get(key, {start: lengthBytes - tailBytes, end: lengthBytes});
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
