import {assert, type BkpError} from '../errors/index.ts';
import type {Clock} from '../lib/clock.ts';
import type {Key, ListOptions, Store} from '../stores/index.ts';
import {damagedNotes} from './care/damaged-notes.ts';
import {survey} from './care/survey.ts';
import {verify} from './care/verify.ts';
import {readDocument, readManifest} from './format/manifest.ts';
import type {ChunkIndex} from './indexes/chunk-index.ts';
import type {ObjectReader} from './indexes/object-reader.ts';
import type {Versions} from './indexes/versions.ts';
import {listCounted} from './lease/verdict.ts';
import type {NewestBackups} from './newest/newest-backups.ts';
import {Closure} from './read/closure.ts';
import {readIds} from './read/read-ids.ts';
import type {ReadOptions, StreamReader} from './read/stream-reader.ts';
import {Witness} from './read/witness.ts';
import type {
  ChunkId,
  GoneBackup,
  IdBytes,
  JsonValue,
  Manifest,
  Recipe,
  Survey,
  VaultReader,
  Verification,
  VerifyOptions,
  Witnessed,
} from './types.ts';
import type {CopySource} from './write/copy-plan.ts';

/** Reads manifests and documents, from the local cache or from the store. */
export type Objects = Pick<ObjectReader, 'manifest' | 'document'>;

export type ReaderParts = {
  id: string;
  store: Store;
  index: ChunkIndex;
  versions: Versions;
  objects: Objects;
  /** May take lists of chunk ids from the local cache. */
  reader: StreamReader;
  /** Reads everything from the store; used by VERIFY, the collector and copies to another vault. */
  strictReader: StreamReader;
  clock: Clock;
  randomId: () => string;
  /** Bytes read from the store so far. */
  readBytes: () => number;
  lastCommitted: VaultReader['lastCommitted'];
  /** Of an encrypted vault. */
  newest: NewestBackups | undefined;
};

const uncachedObjects = (store: Store): Objects => ({
  document: (key) => readDocument(store, key),
  manifest: (key) => readManifest(store, key),
});

/** See {@link VaultReader}. */
export class Reader implements VaultReader {
  readonly id: string;
  readonly location: string;
  readonly #parts: ReaderParts;
  /** By the prefix of a complete listing. */
  readonly #verdicts = new Map<string, readonly Key[]>();

  constructor(parts: ReaderParts) {
    this.id = parts.id;
    this.location = parts.store.description;
    this.#parts = parts;
  }

  /**
   * What another vault's writer reads from when it copies. Static, so that packs and indexes stay out of the
   * type that other rooms see.
   */
  static copySource(vault: VaultReader): CopySource {
    assert(#parts in vault, 'a vault was opened by openVault');
    const {store, index, strictReader} = vault.#parts;
    return {store, index, reader: strictReader};
  }

  async *keys(prefix: string, {after}: ListOptions = {}): AsyncIterable<Key> {
    const {store, versions, newest} = this.#parts;
    const seen = new Set<Key>();
    const verdicts: Key[] = [];
    const onVerdict = (key: Key) => void verdicts.push(key);
    const watch = newest?.watch(prefix, {isWhole: after === undefined});
    for await (const facts of listCounted(store, prefix, {after, onVerdict})) {
      if (watch?.saw(facts.key)) continue;
      seen.add(facts.key);
      versions.remember(facts);
      yield facts.key;
    }
    await watch?.ended();
    if (after !== undefined) return;
    versions.forgetUnseen(prefix, seen);
    this.#verdicts.set(prefix, verdicts);
  }

  gone(prefix: string): readonly GoneBackup[] {
    return this.#parts.newest?.gone(prefix) ?? [];
  }

  lastCommitted(prefix: string): Key | undefined {
    return this.#parts.lastCommitted(prefix);
  }

  get readBytes(): number {
    return this.#parts.readBytes();
  }

  document(key: Key): Promise<JsonValue> {
    return this.#parts.objects.document(key);
  }

  async manifest(key: Key): Promise<Manifest> {
    const {objects, newest} = this.#parts;
    const manifest = await objects.manifest(key);
    newest?.opened(key);
    return manifest;
  }

  uncached(): VaultReader {
    const {store} = this.#parts;
    return new Reader({...this.#parts, objects: uncachedObjects(store)});
  }

  witnessed(): Witnessed {
    const {store, index, clock, randomId} = this.#parts;
    const witness = new Witness({store, index, clock, randomId});
    const {reader} = witness;
    return {
      vault: new Reader({...this.#parts, objects: uncachedObjects(store), reader, strictReader: reader}),
      record: (recipes, {signal} = {}) => witness.record(recipes, signal),
    };
  }

  read(recipe: Recipe, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#parts.reader.read(recipe, options);
  }

  readChunks(ids: Iterable<ChunkId>, options?: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#parts.reader.readChunks(ids, options);
  }

  async chunkIds(recipe: Recipe): Promise<readonly ChunkId[]> {
    const ids: ChunkId[] = [];
    for await (const id of this.#parts.reader.ids(recipe)) ids.push(id);
    return ids;
  }

  readIds(recipe: Recipe, length: number): Promise<IdBytes | undefined> {
    return readIds(this.#parts.reader, recipe, length);
  }

  async storedBytes(recipes: readonly Recipe[]): Promise<number> {
    const [bytes] = await this.addedBytes([recipes]);
    return bytes!;
  }

  async addedBytes(groups: readonly (readonly Recipe[])[]): Promise<readonly number[]> {
    const {index, reader} = this.#parts;
    const closure = new Closure(index, reader);
    const added: number[] = [];
    try {
      let before = 0;
      for (const recipes of groups) {
        for (const recipe of recipes) {
          await closure.addStream(recipe, (error) => {
            throw error;
          });
        }
        const bytes = closure.storedBytes();
        added.push(bytes - before);
        before = bytes;
      }
      return added;
    } finally {
      closure.close();
    }
  }

  damagedNotes(): Promise<readonly BkpError[]> {
    return damagedNotes(this.#parts.store, this.#verdicts);
  }

  survey(): Promise<Survey> {
    const {index, reader, store, clock, randomId} = this.#parts;
    return survey({index, reader, store, clock, randomId});
  }

  verify(recipes: readonly Recipe[], options: VerifyOptions): Promise<Verification> {
    const {strictReader: reader, ...parts} = this.#parts;
    return verify({...parts, reader}, recipes, options);
  }
}
