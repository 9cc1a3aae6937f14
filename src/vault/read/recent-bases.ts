import type {ChunkId} from '../types.ts';

/** Neighbouring chunks of a stream usually have neighbouring bases, so the most recent ones are needed again. */
const limitBytes = 12 * 1024 * 1024;

/** The most recently used base chunks, decoded. */
export class RecentBases {
  /** In the order of their last use, the oldest first. */
  readonly #bases = new Map<ChunkId, Promise<Uint8Array>>();
  #sizeBytes = 0;

  /** @param load called when the base is not kept. A failed load is not kept */
  get(id: ChunkId, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const kept = this.#bases.get(id);
    if (kept !== undefined) {
      this.#bases.delete(id);
      this.#bases.set(id, kept);
      return kept;
    }
    const loading = load();
    this.#bases.set(id, loading);
    loading.then(
      (bytes) => this.#makeRoom(bytes.length),
      () => this.#bases.delete(id),
    );
    return loading;
  }

  async #makeRoom(addedBytes: number): Promise<void> {
    this.#sizeBytes += addedBytes;
    while (this.#sizeBytes > limitBytes && this.#bases.size > 1) {
      const [oldest, loading] = this.#bases.entries().next().value!;
      this.#bases.delete(oldest);
      // A base that is still loading adds its size once it is loaded, and nothing if the load fails.
      this.#sizeBytes -= (await loading.catch(() => new Uint8Array())).length;
    }
  }
}
