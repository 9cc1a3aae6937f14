import type {Store} from '../../stores/index.ts';
import {putContent} from '../../stores/index.ts';
import type {EncodedChunk} from '../codec/encode.ts';
import {hashHex} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import {PackBuffer} from '../format/pack.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ChunkId, PackId} from '../types.ts';

export type NewChunk = EncodedChunk & {id: ChunkId; plainBytes: number};

/**
 * Fills packs and uploads them while the next one is filled. A pack that is durable goes into the index; an index is
 * written when enough packs wait for one.
 */
export class PackWriter {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #uploadsAtOnce: number;
  readonly #randomId: () => string;
  readonly #onStored: (bytes: number, pack?: PackId) => void;
  /** Buffers that are free to be filled; made when first needed. */
  readonly #free: PackBuffer[] = [];
  readonly #uploads = new Set<Promise<void>>();
  #current: PackBuffer | undefined;
  /** Chunks that are in no finished pack yet. */
  readonly #pending = new Set<ChunkId>();
  /** The first upload's error; wrapped, because anything can be thrown. */
  #failure: {error: unknown} | undefined;

  constructor(options: {
    store: Store;
    index: ChunkIndex;
    uploadsAtOnce: number;
    randomId: () => string;
    onStored: (bytes: number, pack?: PackId) => void;
  }) {
    this.#store = options.store;
    this.#index = options.index;
    this.#uploadsAtOnce = options.uploadsAtOnce;
    this.#randomId = options.randomId;
    this.#onStored = options.onStored;
  }

  /** Whether the chunk is on its way into a pack. */
  isPending(id: ChunkId): boolean {
    return this.#pending.has(id);
  }

  /** Waits when all buffers are on their way. */
  async append({id, plainBytes, encoding, base, stored}: NewChunk): Promise<void> {
    if (this.#current !== undefined && !this.#current.hasRoomFor(stored.length)) await this.#close();
    this.#current ??= await this.#freeBuffer();
    this.#pending.add(id);
    this.#current.append({id, plainBytes, encoding, ...(base === undefined ? {} : {base})}, stored);
    if (this.#current.isFull) await this.#close();
  }

  /** All packs and their index are durable when it resolves. */
  async flush(): Promise<void> {
    await this.#close();
    await this.settle();
    this.#throwFailure();
    this.#onStored(await this.#index.flush());
  }

  /** Nothing is on its way to the store any more when it resolves. */
  async settle(): Promise<void> {
    while (this.#uploads.size > 0) await Promise.race(this.#uploads);
  }

  async #freeBuffer(): Promise<PackBuffer> {
    this.#throwFailure();
    while (this.#free.length === 0 && this.#uploads.size >= this.#uploadsAtOnce) await Promise.race(this.#uploads);
    this.#throwFailure();
    return this.#free.pop() ?? new PackBuffer();
  }

  async #close(): Promise<void> {
    const pack = this.#current;
    if (pack === undefined || pack.isEmpty) return;
    this.#current = undefined;
    if (this.#index.wantsFlush) this.#onStored(await this.#index.flush());
    const upload: Promise<void> = this.#upload(pack)
      .catch((error: unknown) => {
        // Told by the next append or flush: after a pack is lost nothing of this writer can be committed.
        this.#failure ??= {error};
      })
      .finally(() => {
        this.#uploads.delete(upload);
      });
    this.#uploads.add(upload);
  }

  async #upload(pack: PackBuffer): Promise<void> {
    const {bytes, entries} = await pack.finish(this.#randomId());
    const id = hashHex(bytes) as PackId;
    await putContent(this.#store, packKey(id), bytes);
    this.#onStored(bytes.length, id);
    await this.#index.addUnlisted({id, lengthBytes: bytes.length, entries});
    for (const entry of entries) this.#pending.delete(entry.id);
    pack.clear();
    this.#free.push(pack);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
