import {assert, BkpError} from '../../errors/index.ts';
import {yieldToEventLoop} from '../../lib/async.ts';
import type {Key, RetainedObject, Store} from '../../stores/index.ts';
import {removeIfAllowed} from '../../stores/index.ts';
import type {EncodedChunk} from '../codec/encode.ts';
import {isDamage} from '../format/damage.ts';
import type {PackListing} from '../format/entry.ts';
import {writeIndex} from '../format/index-object.ts';
import {type IndexId, indexKey, isManifestKey, isNamedKey, manifestPrefixes, packKey} from '../format/key.ts';
import {indexFlushEntries} from '../format/limits.ts';
import {readManifest} from '../format/manifest.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {noteRemoval} from '../indexes/removals.ts';
import type {Lease} from '../lease/lease.ts';
import {listCounted} from '../lease/verdict.ts';
import {Closure} from '../read/closure.ts';
import {chunkMissing, Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {Collected, CollectPlan, PackId, VaultCollector} from '../types.ts';
import {PackWriter} from '../write/pack-writer.ts';
import {faultIn} from './survey.ts';

/** A pack of which less than this part is needed is written anew without the rest. */
const sparseBelow = 0.5;

/** Keys removed between two looks at the lease. */
const removalsAtOnce = 64;

/** So many indexes are put together into few, whatever is removed: each costs a request when a vault is first opened. */
const indexesAtMost = 128;

export type CollectorDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  lease: Lease;
  /** Packs that nothing needs are kept until they are this old. */
  graceMs: number;
  randomId: () => string;
};

/** What was marked for a plan, kept for its execution. */
type Marked = {plan: CollectPlan; closure: Closure; manifests: string; lengths: Map<PackId, number>};

/** See {@link VaultCollector}. */
export class Collector implements VaultCollector {
  readonly #deps: CollectorDeps;
  /** Packs that manifests needed which this collector removed: no crashed backup's, so no grace. */
  readonly #released = new Set<PackId>();
  /** What could not be removed yet. */
  readonly #retained = new Map<Key, RetainedObject>();
  /** Manifests that do not count. */
  readonly #voided = new Set<Key>();
  #marked: Marked | undefined;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
  }

  async requireIntact(manifests: readonly Key[], {signal}: {signal?: AbortSignal} = {}): Promise<void> {
    const {index, lease} = this.#deps;
    // What the store has now: a chunk in a pack that is gone counts as missing.
    await index.apply(await index.observe());
    await lease.confirm();
    const closure = await this.#mark(manifests, signal);
    const fault = faultIn(index, closure.packs().keys());
    closure.close();
    if (fault !== undefined) throw refusal('not all is whole that the backups which stay need', fault);
  }

  async remove(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    for (const key of keys) assert(isNamedKey(key), `${key} is a manifest or a document`);
    const {store, lease} = this.#deps;
    const manifests = keys.filter(isManifestKey);
    for (const key of manifests) await this.#release(key);
    await lease.confirm();
    // A crash between the two leaves documents without backups, never backups without their definition.
    const documents = keys.filter((key) => !isManifestKey(key));
    const staying: RetainedObject[] = [];
    for (const some of [manifests, documents]) if (some.length > 0) staying.push(...(await store.delete(some)));
    for (const object of staying) this.#retained.set(object.key, object);
    return staying;
  }

  async #release(key: Key): Promise<void> {
    const {store, index, reader} = this.#deps;
    const closure = new Closure(index, reader);
    try {
      for (const recipe of (await readManifest(store, key)).streams) await closure.addStream(recipe, () => {});
    } catch (error) {
      // A manifest that cannot be read can be removed all the same; what it needed waits for the grace time.
      if (!isDamage(error)) throw error;
    }
    for (const pack of closure.packs().keys()) this.#released.add(pack);
    closure.close();
  }

  async plan({signal}: {signal?: AbortSignal} = {}): Promise<CollectPlan> {
    const {index, store, lease} = this.#deps;
    this.#forgetMarked();
    // Not from the local copy: what is removed is decided by what the store says now.
    const there = await index.rebuild();
    index.requireReadableRemovals();
    await lease.confirm();
    const storeNowMs = (await store.stat(lease.key))?.modifiedAtMs ?? 0;
    const manifests = await this.#manifestKeys();
    const closure = await this.#mark(manifests, signal);
    const needed = closure.packs();
    const deadPacks: PackId[] = [];
    const sparsePacks: PackId[] = [];
    const lengths = new Map<PackId, number>();
    let freedBytes = 0;
    for (const [pack, {lengthBytes, modifiedAtMs}] of there) {
      const neededBytes = needed.get(pack) ?? 0;
      lengths.set(pack, lengthBytes);
      // A collector that did not end may remove it at any time.
      const isToBeRemoved = index.isToBeRemoved(pack);
      // Against its chunks alone: a small pack that is needed whole is mostly table, and would be written anew for ever.
      if (neededBytes > 0 && !isToBeRemoved && neededBytes >= index.chunkBytes(pack) * sparseBelow) continue;
      const young = modifiedAtMs > storeNowMs - this.#deps.graceMs;
      // What may not go yet would not make room: its copy would take up more.
      if (neededBytes > 0 && !isToBeRemoved && store.retain !== undefined) continue;
      if (neededBytes > 0) sparsePacks.push(pack);
      else if (!young || isToBeRemoved || this.#released.has(pack)) deadPacks.push(pack);
      else continue;
      freedBytes += lengthBytes - neededBytes;
    }
    const plan: CollectPlan = {deadPacks, sparsePacks, freedBytes};
    this.#marked = {plan, closure, manifests: manifests.join('\n'), lengths};
    return plan;
  }

  async #manifestKeys(): Promise<Key[]> {
    const keys: Key[] = [];
    for (const prefix of manifestPrefixes) {
      const found = listCounted(this.#deps.store, prefix, (key) => this.#voided.add(key));
      for await (const {key} of found) if (isManifestKey(key)) keys.push(key);
    }
    return keys;
  }

  /** What all manifests need. Anything that cannot be read ends it: nothing is guessed. */
  async #mark(manifests: readonly Key[], signal?: AbortSignal): Promise<Closure> {
    const {store, index, reader} = this.#deps;
    const closure = new Closure(index, reader);
    try {
      for (const key of manifests) {
        signal?.throwIfAborted();
        const manifest = await readManifest(store, key).catch((error: unknown) => {
          throw refusal(`the manifest ${key} cannot be read`, error);
        });
        for (const recipe of manifest.streams) {
          await closure.addStream(
            recipe,
            (error) => {
              throw refusal(`not all is there that ${key} needs`, error);
            },
            signal,
          );
        }
        for (const id of closure.missing) throw refusal(`not all is there that ${key} needs`, chunkMissing(id));
      }
      return closure;
    } catch (error) {
      closure.close();
      throw error;
    }
  }

  async execute(
    plan: CollectPlan,
    {signal, progress}: {signal?: AbortSignal; progress?: (done: number, total: number) => void} = {},
  ): Promise<Collected> {
    const marked = this.#marked;
    assert(marked?.plan === plan, 'a plan is executed by the collector that made it, and once');
    const {index, lease} = this.#deps;
    const total = plan.sparsePacks.length + plan.deadPacks.length;
    let done = 0;
    const step = (count: number) => {
      done += count;
      progress?.(done, total);
    };
    const rewriting = await this.#rewrite(plan.sparsePacks, marked, signal, () => step(1));
    const removed = new Set([...plan.deadPacks, ...rewriting.packs]);
    this.#assertKept(marked.closure, removed);
    // Packs that somebody else took away are listed no more either.
    const unlisted = new Set([...removed, ...index.absentPacks()]);
    const obsolete = this.#obsoleteIndexes(unlisted);
    const addedBytes = rewriting.storedBytes + (await this.#writeIndexes(obsolete, unlisted));
    await lease.confirm();
    if ((await this.#manifestKeys()).join('\n') !== marked.manifests) {
      throw new BkpError(
        'VAULT_LOCKED',
        'backups came or went while the vault was being cleaned up: nothing was removed',
        {
          next: 'run the cleanup again',
          retryable: true,
        },
      );
    }
    signal?.throwIfAborted();
    // Durable before the lease is confirmed, as it is before each removal.
    const toRemove = [...removed].filter((pack) => !index.isToBeRemoved(pack));
    const notes = await noteRemoval(this.#deps.store, toRemove, this.#deps.randomId);
    await this.#delete([...this.#voided]);
    await this.#delete(obsolete.map(indexKey));
    await this.#delete([...removed].map(packKey), step);
    this.#forgetMarked();
    // The lease is seen to be ours after the packs are seen to be gone: so nobody counted on one of them meanwhile.
    const observation = await lease.confirmBy(() => index.observe());
    const ended = [...index.removals().packs, ...notes.map((key) => [key, toRemove] as const)]
      .filter(([, packs]) => packs.every((pack) => !observation.listing.packs.has(pack)))
      .map(([key]) => key);
    const left = await index.apply(observation);
    await removeIfAllowed(this.#deps.store, ended);
    // Packs that had to stay are listed in no index any more: without one, every writer would read their tables.
    if ([...removed].some((pack) => left.has(pack))) await index.flush();
    await index.clearDamage([...index.distrustedPacks()].filter((pack) => !left.has(pack)));
    let freedBytes = -addedBytes;
    for (const pack of removed) if (!left.has(pack)) freedBytes += marked.lengths.get(pack) ?? 0;
    const retained = [...this.#retained.values()];
    return {
      freedBytes: Math.max(0, freedBytes),
      ...(retained.length === 0
        ? {}
        : {retained: {objects: retained.length, untilMs: Math.max(...retained.map(({untilMs}) => untilMs))}}),
    };
  }

  /** Copies what is needed of sparse packs into new ones. A pack with damage is left as it is. */
  async #rewrite(sparse: readonly PackId[], {closure}: Marked, signal: AbortSignal | undefined, step: () => void) {
    const {store, index, reader} = this.#deps;
    let storedBytes = 0;
    const writer = new PackWriter({
      store,
      index,
      uploadsAtOnce: 1,
      randomId: this.#deps.randomId,
      onStored: (bytes) => {
        storedBytes += bytes;
      },
    });
    const recovery = new Recovery(index);
    const packs: PackId[] = [];
    for (const pack of sparse) {
      signal?.throwIfAborted();
      await this.#deps.lease.confirm();
      const chunks = closure.chunksOf(pack);
      try {
        // All are checked before the first is copied: half a pack moved would free nothing.
        for (const chunk of chunks) await reader.chunks.checkRange([chunk], recovery);
      } catch (error) {
        if (!isDamage(error)) throw error;
        continue;
      }
      for (const {id, offset, storedBytes: length, plainBytes, encoding, base} of chunks) {
        const stored = await store.get(packKey(pack), {start: offset, end: offset + length});
        const encoded: EncodedChunk = {encoding, stored, ...(base === undefined ? {} : {base})};
        await writer.append({id, plainBytes, ...encoded});
      }
      packs.push(pack);
      step();
    }
    await writer.flush();
    return {packs, storedBytes};
  }

  /** The last look before anything goes: every needed chunk of a pack that goes is in one that stays. */
  #assertKept(closure: Closure, removed: ReadonlySet<PackId>): void {
    for (const pack of removed) {
      for (const {id} of closure.chunksOf(pack)) {
        const stays = this.#deps.index.locations(id).some((place) => !removed.has(place.pack));
        assert(stays, `chunk ${id}, which a backup needs, is in a pack that stays`);
      }
    }
  }

  /** Indexes that list something that goes, or cannot be read; all, when there are too many. */
  #obsoleteIndexes(removed: ReadonlySet<PackId>): IndexId[] {
    const {index} = this.#deps;
    const all = index.indexes();
    if (all.size > indexesAtMost) return [...all, ...index.damagedIndexes()];
    const obsolete = new Set<IndexId>(index.damagedIndexes());
    for (const pack of removed) for (const id of index.indexesOfPack(pack)) obsolete.add(id);
    return [...obsolete];
  }

  /** New indexes for the packs that stay of the obsolete ones. */
  async #writeIndexes(obsolete: readonly IndexId[], removed: ReadonlySet<PackId>): Promise<number> {
    const {store, index} = this.#deps;
    const staying = new Set(obsolete.flatMap((id) => index.packsOfIndex(id)).filter((pack) => !removed.has(pack)));
    let sizeBytes = 0;
    let batch: PackListing[] = [];
    let entries = 0;
    const write = async () => {
      if (batch.length > 0) sizeBytes += (await writeIndex(store, batch, this.#deps.randomId())).sizeBytes;
      batch = [];
      entries = 0;
    };
    for (const pack of staying) {
      const listing = index.listing(pack);
      assert(listing !== undefined, 'a pack of an index is listed');
      batch.push(listing);
      entries += listing.entries.length;
      if (entries >= indexFlushEntries) await write();
      await yieldToEventLoop();
    }
    await write();
    return sizeBytes;
  }

  async #delete(keys: readonly Key[], step?: (count: number) => void): Promise<void> {
    for (let at = 0; at < keys.length; at += removalsAtOnce) {
      await this.#deps.lease.confirm();
      const batch = keys.slice(at, at + removalsAtOnce);
      for (const object of await this.#deps.store.delete(batch)) this.#retained.set(object.key, object);
      step?.(batch.length);
    }
  }

  #forgetMarked(): void {
    this.#marked?.closure.close();
    this.#marked = undefined;
  }

  async close(): Promise<void> {
    this.#forgetMarked();
    await this.#deps.lease.releaseIfPossible();
  }
}

function refusal(what: string, cause: unknown): unknown {
  if (!isDamage(cause)) return cause;
  return new BkpError(cause.code, `no data were removed: ${what}`, {
    cause,
    next: 'VERIFY the collection; then repair it, or drop it, and clean up again',
    context: cause.context,
  });
}
