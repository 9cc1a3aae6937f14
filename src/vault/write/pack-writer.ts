import type {Store} from '../../stores/index.ts';
import {putContent} from '../../stores/index.ts';
import type {EncodedChunk} from '../codec/encode.ts';
import {packId} from '../format/hash.ts';
import {packKey} from '../format/key.ts';
import {PackBuffer} from '../format/pack.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ChunkId, PackId} from '../types.ts';

export type NewChunk = EncodedChunk & {id: ChunkId; plainBytes: number};

/** `inMemory`: how many are there, one being filled, the others being uploaded. `targetBytes`: see `PackBuffer`. */
export type PackLimits = {inMemory: number; targetBytes?: number | undefined};

/**
 * Fills packs and uploads them while it fills the next one. A durable pack is added to the index; an index object is
 * written when enough packs need one.
 */
export class PackWriter {
  readonly #store: Store;
  readonly #index: ChunkIndex;
  readonly #limits: PackLimits;
  readonly #randomId: () => string;
  readonly #onStored: (bytes: number, pack?: PackId) => void;
  /** Buffers that can be filled again; created when first needed. */
  readonly #free: PackBuffer[] = [];
  readonly #uploads = new Set<Promise<void>>();
  #current: PackBuffer | undefined;
  /** Chunks that are not yet in a finished pack. */
  readonly #pending = new Set<ChunkId>();
  /** The first error of an upload; wrapped, because any value can be thrown. */
  #failure: {error: unknown} | undefined;

  constructor(options: {
    store: Store;
    index: ChunkIndex;
    limits: PackLimits;
    randomId: () => string;
    onStored: (bytes: number, pack?: PackId) => void;
  }) {
    this.#store = options.store;
    this.#index = options.index;
    this.#limits = options.limits;
    this.#randomId = options.randomId;
    this.#onStored = options.onStored;
  }

  /** Whether the chunk is in a pack that is not yet uploaded. */
  isPending(id: ChunkId): boolean {
    return this.#pending.has(id);
  }

  /** Waits while all buffers are being uploaded. */
  async append({id, plainBytes, encoding, base, stored}: NewChunk): Promise<void> {
    if (this.#current !== undefined && !this.#current.hasRoomFor(stored.length)) await this.#close();
    this.#current ??= await this.#freeBuffer();
    this.#pending.add(id);
    this.#current.append({id, plainBytes, encoding, base}, stored);
    if (this.#current.isFull) await this.#close();
  }

  /** Resolves when all packs and their index are durable. */
  async flush(): Promise<void> {
    await this.#close();
    await this.settle();
    this.#throwFailure();
    this.#onStored(await this.#index.flush());
  }

  /** Resolves when no upload is running. */
  async settle(): Promise<void> {
    while (this.#uploads.size > 0) await Promise.race(this.#uploads);
  }

  async #freeBuffer(): Promise<PackBuffer> {
    this.#throwFailure();
    while (this.#free.length === 0 && this.#uploads.size >= this.#limits.inMemory) await Promise.race(this.#uploads);
    this.#throwFailure();
    return this.#free.pop() ?? new PackBuffer(this.#limits.targetBytes);
  }

  async #close(): Promise<void> {
    const pack = this.#current;
    if (pack === undefined || pack.isEmpty) return;
    this.#current = undefined;
    if (this.#index.wantsFlush) this.#onStored(await this.#index.flush());
    const upload: Promise<void> = this.#upload(pack)
      .catch((error: unknown) => {
        // The next append or flush throws it: after the loss of a pack, this writer can commit nothing.
        this.#failure ??= {error};
      })
      .finally(() => {
        this.#uploads.delete(upload);
      });
    this.#uploads.add(upload);
  }

  async #upload(pack: PackBuffer): Promise<void> {
    const {bytes, entries} = await pack.finish(this.#randomId(), {
      isFilled: this.#store.properties.hidesSizes === true,
    });
    const id = packId(bytes);
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
