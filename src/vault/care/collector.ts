import {assert, BkpError} from '../../errors/index.ts';
import type {Clock} from '../../lib/clock.ts';
import {type Key, type RetainedObject, removeIfAllowed, type Store} from '../../stores/index.ts';
import {indexKey, isManifestKey, isNamedKey, manifestPrefixes, packKey} from '../format/key.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import {noteRemoval} from '../indexes/removals.ts';
import type {Lease} from '../lease/lease.ts';
import {type DecidedManifests, lateMs, listCounted, voidForEver} from '../lease/verdict.ts';
import {StoredLedger} from '../ledger/stored-ledger.ts';
import type {NewestBackups} from '../newest/newest-backups.ts';
import type {Closure} from '../read/closure.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import {readReseals} from '../reseal/notes.ts';
import type {Collected, CollectPlan, PackId, Retained, VaultCollector} from '../types.ts';
import {mergeSmall} from '../write/merge-small.ts';
import {markNeeded, refusal} from './mark.ts';
import {packsOf, planRemoval} from './plan-removal.ts';
import {obsoleteIndexes, replaceIndexes} from './replace-indexes.ts';
import {requireListed, rewritePacks} from './rewrite-packs.ts';
import {faultIn} from './survey.ts';

/** Keys removed after one confirmation of the lease. */
const removalsAtOnce = 64;

export type CollectorDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  lease: Lease;
  /** Minimum age of unneeded packs before they are removed. */
  graceMs: number;
  randomId: () => string;
  clock: Clock;
  /** Of an encrypted vault, whose objects may be sealed again. */
  newest: NewestBackups | undefined;
  decided: DecidedManifests;
};

/** What was marked for a plan, kept for its execution. */
type Marked = {plan: CollectPlan; closure: Closure; manifests: string; lengths: ReadonlyMap<PackId, number>};

/** See {@link VaultCollector}. The order of its writes is the one of docs/format.md, "Order of removal". */
export class Collector implements VaultCollector {
  readonly #deps: CollectorDeps;
  /** Packs of manifests that this collector removed: no interrupted backup wrote them, so no grace time applies. */
  readonly #released = new Set<PackId>();
  /** Objects that could not be removed, because the store still locks them. */
  readonly #retained = new Map<Key, RetainedObject>();
  /** Manifests that the store confirmed to have removed. */
  readonly #removed = new Set<Key>();
  /** Manifests that do not count. */
  readonly #void = new Set<Key>();
  #marked: Marked | undefined;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
  }

  async requireIntact(manifests: readonly Key[], {signal}: {signal?: AbortSignal} = {}): Promise<void> {
    const {index, lease} = this.#deps;
    // The present state of the store: a chunk in a pack that is not there counts as missing.
    await index.apply(await index.observe());
    await lease.confirm();
    const closure = await markNeeded(this.#deps, manifests, signal);
    const fault = faultIn(index, closure.packs().keys());
    closure.close();
    if (fault !== undefined) throw refusal('data that the remaining backups need is missing or damaged', fault);
  }

  async remove(keys: readonly Key[]): Promise<readonly RetainedObject[]> {
    for (const key of keys) assert(isNamedKey(key), `${key} is a manifest or a document`);
    const {store, lease, newest, decided} = this.#deps;
    const manifests = keys.filter(isManifestKey);
    // An unreadable manifest can be removed all the same; the grace time then applies to its packs.
    for (const pack of await packsOf(this.#deps, manifests)) this.#released.add(pack);
    await this.#voidIfNoted(manifests);
    const afterRemoval = await decided.beforeRemoval(store, manifests);
    await newest?.beforeRemoval(manifests);
    await lease.confirm();
    // A crash between the two steps leaves documents without backups, never backups without their definition.
    const documents = keys.filter((key) => !isManifestKey(key));
    const staying: RetainedObject[] = [];
    for (const some of [manifests, documents]) if (some.length > 0) staying.push(...(await store.delete(some)));
    for (const object of staying) this.#retained.set(object.key, object);
    const retained = new Set(staying.map(({key}) => key));
    const removed = manifests.filter((key) => !retained.has(key));
    for (const key of removed) this.#removed.add(key);
    await afterRemoval(removed);
    return staying;
  }

  async removeEndings(keys: readonly Key[], {inAnyStore = false} = {}): Promise<readonly RetainedObject[]> {
    const {store} = this.#deps;
    if (keys.length === 0 || (!inAnyStore && store.properties.repeatsPuts !== true)) return this.remove(keys);
    const lateAfterMs = (await this.#storeNowMs()) - lateMs;
    const facts = await Promise.all(keys.map((key) => store.stat(key)));
    return this.remove(keys.filter((_, at) => (facts[at]?.modifiedAtMs ?? 0) < lateAfterMs));
  }

  async #storeNowMs(): Promise<number> {
    const {store, lease} = this.#deps;
    return (await store.stat(lease.key))?.modifiedAtMs ?? 0;
  }

  /** A put over one of them may still be on its way. */
  async #voidIfNoted(manifests: readonly Key[]): Promise<void> {
    const {store, newest} = this.#deps;
    if (newest === undefined || manifests.length === 0) return;
    const noted = new Set([...(await readReseals(store)).values()].flat());
    for (const key of manifests) if (noted.has(key)) await voidForEver(store, key);
  }

  async plan({signal}: {signal?: AbortSignal} = {}): Promise<CollectPlan> {
    const {index, store, lease, graceMs} = this.#deps;
    this.#forgetMarked();
    // Not from the local copy: the present state of the store decides what is removed.
    const packs = await index.rebuild();
    index.requireReadableRemovals();
    await lease.confirm();
    const storeNowMs = await this.#storeNowMs();
    const manifests = await this.#manifestKeys();
    const still = manifests.find((key) => this.#removed.has(key));
    if (still !== undefined) throw notRemoved(still);
    const closure = await markNeeded(this.#deps, manifests, signal);
    const plan = planRemoval({
      index,
      packs,
      needed: closure.packs(),
      released: this.#released,
      youngAfterMs: storeNowMs - graceMs,
      locksObjects: store.retain !== undefined,
    });
    const lengths = new Map([...packs].map(([pack, {lengthBytes}]) => [pack, lengthBytes]));
    this.#marked = {plan, closure, manifests: manifests.join('\n'), lengths};
    return plan;
  }

  async mergeSmall(): Promise<number> {
    return mergeSmall(this.#deps);
  }

  async #manifestKeys(): Promise<Key[]> {
    const keys: Key[] = [];
    for (const prefix of manifestPrefixes) {
      const found = listCounted(this.#deps.store, prefix, {onVoided: (key) => this.#void.add(key)});
      for await (const {key} of found) if (isManifestKey(key)) keys.push(key);
    }
    return keys;
  }

  async execute(
    plan: CollectPlan,
    {signal, progress}: {signal?: AbortSignal; progress?: (done: number, total: number) => void} = {},
  ): Promise<Collected> {
    const marked = this.#marked;
    assert(marked?.plan === plan, 'a plan is executed by the collector that made it, and once');
    const {store, index, lease, randomId} = this.#deps;
    const toRewrite = [...plan.sparsePacks, ...plan.smallPacks];
    const total = toRewrite.length + plan.deadPacks.length;
    let done = 0;
    const step = (count: number) => {
      done += count;
      progress?.(done, total);
    };
    const {closure} = marked;
    const rewritten = await rewritePacks(this.#deps, toRewrite, closure, {signal, onPack: () => step(1)});
    const removed = new Set([...plan.deadPacks, ...rewritten.packs]);
    this.#assertKept(closure, removed);
    // The new indexes do not list packs that are missing already, either.
    const unlisted = new Set([...removed, ...index.absentPacks()]);
    const obsolete = obsoleteIndexes(index, unlisted);
    const indexes = await replaceIndexes(this.#deps, obsolete, unlisted);
    await requireListed(this.#deps, {packs: rewritten.written, indexes});
    if ((await this.#manifestKeys()).join('\n') !== marked.manifests) throw backupsChanged();
    signal?.throwIfAborted();
    // The notes are durable before the lease is confirmed, which happens before each removal.
    const toRemove = [...removed].filter((pack) => !index.isToBeRemoved(pack));
    const notes = await noteRemoval(store, toRemove, randomId);
    await this.#delete([...this.#void]);
    await this.#delete(obsolete.map(indexKey));
    await this.#delete([...removed].map(packKey), step);
    this.#forgetMarked();
    // One listing shows that the packs are gone and that the lease is still ours, so no process has relied on them
    // meanwhile.
    const observation = await lease.confirmBy(() => index.observe());
    const ended = [...index.removals().packs, ...notes.map((key) => [key, toRemove] as const)]
      .filter(([, packs]) => packs.every((pack) => !observation.listing.packs.has(pack)))
      .map(([key]) => key);
    const left = await index.apply(observation);
    await removeIfAllowed(store, ended);
    // No index lists the packs that had to stay. Without one, every writer would read their tables.
    if ([...removed].some((pack) => left.has(pack))) await index.flush({readBack: true});
    await index.clearDamage([...index.distrustedPacks()].filter((pack) => !left.has(pack)));
    const ledger = await StoredLedger.read(this.#deps);
    await ledger.removeOutdated((pack) => left.has(pack));
    await store.sweep?.();
    // The new indexes are smaller than the obsolete ones, and a plan cannot know by how much: neither is counted.
    let freedBytes = 0;
    for (const [pack, {lengthBytes}] of left) if (!marked.lengths.has(pack)) freedBytes -= lengthBytes;
    for (const pack of removed) if (!left.has(pack)) freedBytes += marked.lengths.get(pack) ?? 0;
    const retained = this.#retainedObjects();
    return {freedBytes: Math.max(0, freedBytes), ...(retained === undefined ? {} : {retained})};
  }

  #retainedObjects(): Retained | undefined {
    const objects = [...this.#retained.values()];
    if (objects.length === 0) return undefined;
    return {objects: objects.length, untilMs: Math.max(...objects.map(({untilMs}) => untilMs))};
  }

  /** The last check before anything is removed: every needed chunk of a removed pack is also in a pack that stays. */
  #assertKept(closure: Closure, removed: ReadonlySet<PackId>): void {
    for (const pack of removed) {
      for (const {id} of closure.chunksOf(pack)) {
        const isKept = this.#deps.index.locations(id).some((location) => !removed.has(location.pack));
        assert(isKept, `chunk ${id}, which a backup needs, is in a pack that stays`);
      }
    }
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

const notRemoved = (key: Key) =>
  new BkpError('STORE_UNAVAILABLE', `the store confirmed that it had removed ${key}, but still lists it`, {
    cause: 'the store is faulty, or another program writes to it',
    next: 'bkp store check, then run the cleanup again',
    retryable: true,
    context: {key, stillListed: key},
  });

/** Whether a removal that the store confirmed has not taken place. */
export const isStillListed = (error: unknown): boolean =>
  error instanceof BkpError && error.context.stillListed !== undefined;

const backupsChanged = () =>
  new BkpError('VAULT_LOCKED', 'backups were added or removed during the cleanup: nothing was removed', {
    next: 'run the cleanup again',
    retryable: true,
  });
