import {assert} from '../../errors/index.ts';
import {type Key, putAndRead, type Store} from '../../stores/index.ts';
import {isManifestKey, isNamedKey} from '../format/key.ts';
import {sealDocument} from '../format/manifest.ts';
import {RecipeBuilder} from '../format/recipe.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ObjectCache} from '../indexes/object-cache.ts';
import type {Lease} from '../lease/lease.ts';
import type {NewestBackups} from '../newest/newest-backups.ts';
import type {LastCommits} from '../read/last-commits.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {
  ChunkId,
  HealedChunks,
  IdBytes,
  JsonValue,
  Manifest,
  Piece,
  Recipe,
  VaultReader,
  VaultWriter,
  WriteStats,
} from '../types.ts';
import {ChunkWriter} from './chunk-writer.ts';
import {Commits} from './commits.ts';
import {Copy, type CopyOptions} from './copy.ts';
import type {CopySource} from './copy-plan.ts';
import {healChunks} from './heal.ts';
import {writeIdLists} from './id-lists.ts';
import type {ObjectLock} from './object-lock.ts';
import {type PackLimits, PackWriter} from './pack-writer.ts';

export type WriterDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  /** Absent for a store without versions, where the cache saves nothing. */
  cached: ObjectCache | undefined;
  lastCommits: LastCommits;
  /** Of an encrypted vault. */
  newest: NewestBackups | undefined;
  lease: Lease;
  objectLock: ObjectLock;
  compressionLevel: number;
  /** Threads that compress. */
  compressionThreads: number;
  packs: PackLimits;
  randomId: () => string;
  /** What {@link VaultWriter.copyFrom} reads from the other vault. */
  copySource: (vault: VaultReader) => CopySource;
};

/** See {@link VaultWriter}. */
export class Writer implements VaultWriter {
  readonly stats: WriteStats = {logicalBytes: 0, newBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0};
  readonly #deps: WriterDeps;
  readonly #packs: PackWriter;
  readonly #chunks: ChunkWriter;
  readonly #commits: Commits;
  /** What announced documents that are in the store. */
  readonly #announced: Key[] = [];

  constructor(deps: WriterDeps) {
    const {store, index, cached, randomId} = deps;
    const {stats} = this;
    const onStored = (bytes: number) => {
      stats.storedBytes += bytes;
    };
    this.#deps = deps;
    const packs = new PackWriter({store, index, limits: deps.packs, randomId, onStored});
    const {compressionLevel, compressionThreads} = deps;
    this.#packs = packs;
    this.#chunks = new ChunkWriter({store, index, packs, cached, stats, compressionLevel, compressionThreads});
    this.#commits = new Commits({...deps, packs, stats});
  }

  get id(): string {
    return this.#deps.lease.id;
  }

  get sawManySmallPacks(): boolean {
    return this.#commits.sawManySmallPacks;
  }

  expectMuch(): void {
    this.#chunks.expectMuch();
  }

  keptBytes(id: ChunkId): number | undefined {
    return this.#chunks.keptBytes(id);
  }

  async write(pieces: AsyncIterable<Piece> | Iterable<Piece>): Promise<Recipe> {
    const recipe = new RecipeBuilder((list) => this.#chunks.writeList(list));
    for await (const {id, plainBytes} of this.#chunks.write(pieces)) {
      // An empty piece has no chunk, and adds nothing to its stream.
      if (plainBytes > 0) await recipe.add(id, plainBytes);
    }
    return recipe.finish();
  }

  async *writeChunks(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncGenerator<ChunkId> {
    for await (const {id, plainBytes} of this.#chunks.write(pieces)) {
      assert(plainBytes > 0, 'a piece that is named by its id is not empty');
      yield id;
    }
  }

  writeIds(ids: IdBytes, sizeBytes: number): Promise<Recipe> {
    return writeIdLists((lists) => this.writeChunks(lists), ids, sizeBytes);
  }

  async copyFrom(source: VaultReader, recipes: readonly Recipe[], options: CopyOptions = {}): Promise<void> {
    // The index does not yet know chunks in packs that are still being uploaded.
    await this.#packs.flush();
    const target = {index: this.#deps.index, packs: this.#packs, chunks: this.#chunks};
    const copy = new Copy(this.#deps.copySource(source), target);
    const chunks = await copy.run(recipes, options, ({plainBytes}) => {
      this.stats.newChunks += 1;
      this.stats.newBytes += plainBytes;
    });
    this.stats.chunks += chunks;
    this.stats.logicalBytes += recipes.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
  }

  heal(chunks: readonly ChunkId[], sources: readonly VaultReader[]): Promise<HealedChunks> {
    const {index, copySource} = this.#deps;
    const from = sources.map((vault) => ({
      source: copySource(vault),
      copy: (recipe: Recipe) => this.copyFrom(vault, [recipe]),
    }));
    return healChunks({index, flush: () => this.flush()}, chunks, from);
  }

  async flush(): Promise<void> {
    await this.#packs.flush();
  }

  commit(key: Key, manifest: Manifest): Promise<'written' | 'exists'> {
    return this.#commits.commit(key, manifest);
  }

  async putDocument(
    key: Key,
    document: JsonValue,
    {announcedBy}: {announcedBy?: Key | undefined} = {},
  ): Promise<'written' | 'exists'> {
    assert(isNamedKey(key) && !isManifestKey(key), `${key} is a document's key`);
    const {store, lease, cached} = this.#deps;
    // Before the lease is confirmed: a process that takes this one for dead after that finds it.
    if (announcedBy !== undefined) await store.put(announcedBy, new Uint8Array(), {ifAbsent: true});
    await lease.confirm();
    const sealed = await sealDocument(document);
    const outcome = await putAndRead(store, key, sealed, {ifAbsent: true, retained: true});
    if (outcome === 'written') {
      if (announcedBy !== undefined) this.#announced.push(announcedBy);
      cached?.saveObject(key, sealed);
      this.stats.storedBytes += sealed.length;
    }
    return outcome;
  }

  async close(): Promise<void> {
    await this.#packs.settle();
    await this.#chunks.close();
    await this.#deps.newest?.announce();
    await this.#deps.lease.releaseIfPossible([...this.#commits.pending, ...this.#announced]);
  }
}
