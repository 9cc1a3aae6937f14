import {assert, BkpError} from '../../errors/index.ts';
import {mapConcurrent} from '../../lib/async.ts';
import type {Key, Store} from '../../stores/index.ts';
import {
  type Base,
  ChunkEncoder,
  type ColumnPart,
  type EncodedChunk,
  type PlainChunk,
  roundTripFailed,
} from '../codec/encode.ts';
import {EncoderThreads} from '../codec/encoder-threads.ts';
import {damaged} from '../format/damage.ts';
import {chunkId} from '../format/hash.ts';
import type {IdList} from '../format/id-list.ts';
import {headerKey, indexKey, isManifestKey, isNamedKey, packKey} from '../format/key.ts';
import {maxChunkBytes} from '../format/limits.ts';
import {sealDocument, sealManifest} from '../format/manifest.ts';
import {RecipeBuilder} from '../format/recipe.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ObjectCache} from '../indexes/object-cache.ts';
import type {Lease} from '../lease/lease.ts';
import {pendingKey, withdraw} from '../lease/verdict.ts';
import {BaseReader} from '../read/base-reader.ts';
import {neededPacks} from '../read/needed-packs.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {
  ChunkId,
  Column,
  JsonValue,
  Manifest,
  Piece,
  Recipe,
  VaultReader,
  VaultWriter,
  WriteStats,
} from '../types.ts';
import {Copy, type CopyOptions} from './copy.ts';
import type {CopySource} from './copy-plan.ts';
import {writeIdLists} from './id-lists.ts';
import type {ObjectLock} from './object-lock.ts';
import {type NewChunk, PackWriter} from './pack-writer.ts';

export type WriterDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  /** Absent where copies spare nothing: a store without versions. */
  cached: ObjectCache | undefined;
  lease: Lease;
  objectLock: ObjectLock;
  compressionLevel: number;
  /** Threads that compress. */
  compressionThreads: number;
  /** Packs that are uploaded at once. */
  uploadsAtOnce: number;
  randomId: () => string;
  /** What {@link VaultWriter.copyFrom} reads of the other vault. */
  copySource: (vault: VaultReader) => CopySource;
};

/** Threads take a tenth of a second to start: too long for what is compressed in less. */
const threadsFromBytes = 1024 * 1024;

/** Plain bytes of chunks on their way into packs, beyond which no more are read. */
const aheadBytes = 6 * 1024 * 1024;

/** A chunk on its way: `chunk` is absent when the vault has it already. */
type Encoded = {id: ChunkId; plainBytes: number; chunk?: NewChunk};

/** See {@link VaultWriter}. */
export class Writer implements VaultWriter {
  readonly stats: WriteStats = {logicalBytes: 0, newBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0};
  readonly #deps: WriterDeps;
  readonly #packs: PackWriter;
  /** What says that a manifest is being committed, as far as it was. */
  readonly #pending: Key[] = [];
  /** Manifests that do not count under this lease, whatever becomes of them. */
  readonly #void = new Set<Key>();
  /** Chunks that this writer is compressing. */
  readonly #encoding = new Set<ChunkId>();
  readonly #bases: BaseReader;
  readonly #columns = new ColumnNumbers();
  /** Until the threads are up, and for what is too large for them. */
  readonly #encoder: ChunkEncoder;
  #encoderThreads: EncoderThreads | undefined;
  #encodedBytes = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
    this.#bases = new BaseReader(deps.store, deps.index);
    this.#encoder = new ChunkEncoder(deps.compressionLevel);
    this.#packs = new PackWriter({
      store: deps.store,
      index: deps.index,
      uploadsAtOnce: deps.uploadsAtOnce,
      randomId: deps.randomId,
      onStored: (bytes) => {
        this.stats.storedBytes += bytes;
      },
    });
  }

  get id(): string {
    return this.#deps.lease.id;
  }

  async write(pieces: AsyncIterable<Piece> | Iterable<Piece>): Promise<Recipe> {
    const recipe = new RecipeBuilder((list) => this.#storeList(list));
    for await (const {id, plainBytes} of this.#store(pieces)) {
      // An empty piece has no chunk: its stream is as long without it.
      if (plainBytes > 0) await recipe.add(id, plainBytes);
    }
    return recipe.finish();
  }

  async *writeChunks(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncGenerator<ChunkId> {
    for await (const {id, plainBytes} of this.#store(pieces)) {
      assert(plainBytes > 0, 'a piece that is named by its id is not empty');
      yield id;
    }
  }

  writeIds(ids: IdList, sizeBytes: number): Promise<Recipe> {
    return writeIdLists((lists) => this.writeChunks(lists), ids, sizeBytes);
  }

  async *#store(pieces: AsyncIterable<Piece> | Iterable<Piece>): AsyncGenerator<Encoded> {
    const encode = async (piece: Piece) => ({encoded: await this.#encode(piece), release: piece.release});
    try {
      for await (const {encoded, release} of mapConcurrent(pieces, aheadBytes, encode, ({bytes}) => bytes.length)) {
        this.stats.logicalBytes += encoded.plainBytes;
        if (encoded.plainBytes > 0) await this.#take(encoded);
        release?.();
        yield encoded;
      }
    } finally {
      // After an error, what was being compressed never comes into a pack.
      this.#encoding.clear();
    }
  }

  async #storeList(list: Uint8Array): Promise<ChunkId> {
    const encoded = await this.#encode({bytes: list});
    await this.#take(encoded);
    this.#deps.cached?.saveList(encoded.id, list);
    return encoded.id;
  }

  async #take({id, plainBytes, chunk}: Encoded): Promise<void> {
    this.stats.chunks += 1;
    if (chunk === undefined) return;
    this.stats.newChunks += 1;
    this.stats.newBytes += plainBytes;
    await this.#packs.append(chunk);
    this.#encoding.delete(id);
  }

  async #encode({bytes, like, column}: Piece): Promise<Encoded> {
    assert(bytes.length <= maxChunkBytes, `a piece of ${bytes.length} bytes is larger than a chunk may be`);
    const id = chunkId(bytes);
    const plainBytes = bytes.length;
    if (plainBytes === 0 || this.#isKnown(id)) return {id, plainBytes};
    this.#encoding.add(id);
    const base = like === undefined ? undefined : await this.#baseFor(id, like);
    const chunk: PlainChunk = {
      id,
      plain: bytes,
      ...(base === undefined ? {} : {base}),
      ...(column === undefined ? {} : {column: this.#columns.of(column)}),
    };
    return {id, plainBytes, chunk: {id, plainBytes, ...(await this.#compress(chunk))}};
  }

  /** @throws BkpError `OBJECT_DAMAGED` when it does not come out as it went in */
  async #compress(chunk: PlainChunk): Promise<EncodedChunk> {
    this.#encodedBytes += chunk.plain.length;
    if (this.#encodedBytes >= threadsFromBytes) {
      const {compressionThreads: threads, compressionLevel: level} = this.#deps;
      this.#encoderThreads ??= new EncoderThreads({threads, level});
      if (this.#encoderThreads.areUp && EncoderThreads.fits(chunk)) return this.#encoderThreads.encode(chunk);
    }
    try {
      return this.#encoder.encode(chunk);
    } catch (error) {
      throw roundTripFailed(chunk.id, error);
    }
  }

  #isKnown(id: ChunkId): boolean {
    return this.#encoding.has(id) || this.#packs.isPending(id) || this.#deps.index.hasReliable(id);
  }

  /** The chunk that `like` leads to: itself, or its own base, so that nothing is ever a difference to a difference. */
  async #baseFor(id: ChunkId, like: ChunkId): Promise<Base | undefined> {
    const {index} = this.#deps;
    // A chunk that the indexes name and that was lost is written by itself: others may count on it as their base.
    if (index.namedLocations(id).length > 0) return undefined;
    const found = index.locate(like);
    const place = found?.base === undefined ? found : index.locate(found.base);
    if (place === undefined || place.base !== undefined || place.id === id) return undefined;
    if (!index.mayRelyOn(place.pack)) return undefined;
    try {
      const {id: base, plainBytes, encoding} = place;
      return {id: base, plainBytes, encoding, stored: await this.#bases.stored(place)};
    } catch (error) {
      // A pack that is gone is no reason not to take a new backup; it is not built upon.
      if (error instanceof BkpError && error.code !== 'STORE_UNAVAILABLE') return undefined;
      throw error;
    }
  }

  async copyFrom(source: VaultReader, recipes: readonly Recipe[], options: CopyOptions = {}): Promise<void> {
    const {index} = this.#deps;
    // What is only on its way has no place yet that could be asked about.
    await this.#packs.flush();
    const target = {index, packs: this.#packs, encode: (chunk: PlainChunk) => this.#compress(chunk)};
    const chunks = await new Copy(this.#deps.copySource(source), target).run(recipes, options, ({plainBytes}) => {
      this.stats.newChunks += 1;
      this.stats.newBytes += plainBytes;
    });
    this.stats.chunks += chunks;
    this.stats.logicalBytes += recipes.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
  }

  async flush(): Promise<void> {
    await this.#packs.flush();
  }

  async commit(key: Key, manifest: Manifest): Promise<'written' | 'exists'> {
    assert(isManifestKey(key), `${key} is a manifest's key`);
    assert(!this.#void.has(key), 'a manifest whose commit failed is committed again by another writer only');
    const {store, lease, objectLock} = this.#deps;
    await this.flush();
    const pending = pendingKey(key, lease.id);
    // Before the listing that confirms the lease: whoever ends the lease after that finds it, and decides.
    await store.put(pending, new Uint8Array(), {ifAbsent: true});
    this.#pending.push(pending);
    const needed = await this.#checkComplete(manifest);
    // The check may have had to look for chunks in packs that no index lists.
    this.stats.storedBytes += await this.#deps.index.flush();
    const sealed = await sealManifest({...manifest, lease: lease.id});
    // That may have taken its time.
    if (await objectLock.extend([headerKey, ...needed])) await lease.confirm();
    // From here on the manifest may arrive at any time, until the store has said what became of it.
    this.#pending.pop();
    try {
      const outcome = await store.put(key, sealed, {ifAbsent: true, retained: true});
      // A collector that took us for dead while the manifest was on its way may not have seen it.
      if (outcome === 'written') await lease.confirm();
      this.#pending.push(pending);
      if (outcome === 'exists') return 'exists';
    } catch (error) {
      if (!(error instanceof BkpError) || !(await this.#stands(key, error))) throw error;
    }
    if (Buffer.compare(await store.get(key), sealed) !== 0) throw damaged(key, 'it is not what was just written');
    this.#deps.cached?.saveObject(key, sealed);
    this.stats.storedBytes += sealed.length;
    return 'written';
  }

  /** After an error the manifest must not count, also when it arrives later; unless a collector has decided that it does. */
  async #stands(key: Key, why: BkpError): Promise<boolean> {
    const {store, lease} = this.#deps;
    try {
      const stands = await withdraw(store, key, lease.id);
      this.#pending.push(pendingKey(key, lease.id));
      if (!stands) this.#void.add(key);
      return stands;
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      // The store cannot be reached: the next collector decides.
      this.#void.add(key);
      throw why;
    }
  }

  /**
   * Everything that the manifest needs is in packs that are in the store with their length. The listing that shows it also
   * confirms the lease, which is one request less.
   * @returns the keys of these packs and of their indexes
   */
  async #checkComplete(manifest: Manifest): Promise<Key[]> {
    const {index} = this.#deps;
    const needed = [...(await neededPacks(this.#deps, manifest.streams))];
    const {listing} = await this.#deps.lease.confirmBy(() => index.observe());
    for (const pack of needed) {
      const lengthBytes = listing.packs.get(pack)?.lengthBytes;
      const isWhole = lengthBytes === index.packLength(pack);
      if (isWhole && index.mayRelyOn(pack)) continue;
      const fault = isWhole
        ? index.isToBeRemoved(pack)
          ? 'is about to be removed by a cleanup that did not end'
          : 'was found damaged'
        : lengthBytes === undefined
          ? 'is gone'
          : `has ${lengthBytes} bytes instead of ${index.packLength(pack)}`;
      throw new BkpError(
        lengthBytes === undefined ? 'OBJECT_MISSING' : 'OBJECT_DAMAGED',
        `the backup was not committed: its pack ${packKey(pack)} ${fault}`,
        {next: 'take a full backup: it writes anew what is missing', context: {pack, key: packKey(pack)}},
      );
    }
    const indexes = new Set(needed.flatMap((pack) => index.indexesOfPack(pack)));
    return [...needed.map(packKey), ...[...indexes].filter((id) => listing.indexes.has(id)).map(indexKey)];
  }

  async putDocument(key: Key, document: JsonValue): Promise<'written' | 'exists'> {
    assert(isNamedKey(key) && !isManifestKey(key), `${key} is a document's key`);
    await this.#deps.lease.confirm();
    const sealed = await sealDocument(document);
    const outcome = await this.#deps.store.put(key, sealed, {ifAbsent: true, retained: true});
    if (outcome === 'written') {
      this.#deps.cached?.saveObject(key, sealed);
      this.stats.storedBytes += sealed.length;
    }
    return outcome;
  }

  async close(): Promise<void> {
    await this.#packs.settle();
    await this.#encoderThreads?.close();
    await this.#deps.lease.releaseIfPossible(this.#pending);
  }
}

/** Numbers for columns, which are objects here and something else on another thread. */
class ColumnNumbers {
  #latest: {column: Column; part: ColumnPart} | undefined;

  of(column: Column): ColumnPart {
    if (this.#latest?.column !== column) {
      const number = (this.#latest?.part.number ?? 0) + 1;
      this.#latest = {column, part: {number, widthBytes: column.widthBytes}};
    }
    return this.#latest.part;
  }
}
