import {assert, BkpError} from '../../errors/index.ts';
import {type Key, requireWritten, type Store} from '../../stores/index.ts';
import {headerKey, isManifestKey} from '../format/key.ts';
import {sealManifest} from '../format/manifest.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {ObjectCache} from '../indexes/object-cache.ts';
import type {Lease} from '../lease/lease.ts';
import {pendingKey, withdraw} from '../lease/verdict.ts';
import type {NewestBackups} from '../newest/newest-backups.ts';
import type {LastCommits} from '../read/last-commits.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {Manifest, WriteStats} from '../types.ts';
import {checkComplete} from './check-complete.ts';
import {hasManySmall} from './merge-small.ts';
import type {ObjectLock} from './object-lock.ts';
import type {PackWriter} from './pack-writer.ts';

export type CommitDeps = {
  store: Store;
  index: ChunkIndex;
  reader: StreamReader;
  packs: PackWriter;
  /** Absent for a store without versions, where the cache saves nothing. */
  cached: ObjectCache | undefined;
  lastCommits: LastCommits;
  newest: NewestBackups | undefined;
  lease: Lease;
  objectLock: ObjectLock;
  stats: WriteStats;
};

/**
 * Puts the manifests of one writer. docs/format.md ("What arrives late") says why a manifest that arrives after its
 * lease was lost does no harm.
 */
export class Commits {
  readonly #deps: CommitDeps;
  /** `pending` objects of finished commits; they are removed when the lease is released. */
  readonly #finished: Key[] = [];
  /** Manifests that do not count under this lease, even if they arrive. */
  readonly #void = new Set<Key>();

  /** See `VaultWriter.sawManySmallPacks`. */
  sawManySmallPacks = false;

  constructor(deps: CommitDeps) {
    this.#deps = deps;
  }

  /** Keys that may be removed together with the lease. */
  get pending(): readonly Key[] {
    return this.#finished;
  }

  /** See `VaultWriter.commit`. */
  async commit(key: Key, manifest: Manifest): Promise<'written' | 'exists'> {
    assert(isManifestKey(key), `${key} is a manifest's key`);
    assert(!this.#void.has(key), 'after a failed commit, only another writer commits the same manifest again');
    const {store, index, packs, lease, objectLock, cached, lastCommits, newest, stats} = this.#deps;
    await packs.flush();
    const pending = pendingKey(key, lease.id);
    // Put before the listing that confirms the lease: a collector that ends the lease after that listing finds it, and
    // decides whether the manifest counts.
    await store.put(pending, new Uint8Array(), {ifAbsent: true});
    this.#finished.push(pending);
    const {keys: needed, packs: present} = await checkComplete(this.#deps, manifest);
    this.sawManySmallPacks = hasManySmall(present);
    // The check may have found packs that no index in the store lists. No listing comes after this one.
    stats.storedBytes += await index.flush({readBack: true});
    const sealed = await sealManifest({...manifest, lease: lease.id});
    // Extending object locks may take long, so the lease is confirmed again.
    if (await objectLock.extend([headerKey, ...needed])) await lease.confirm();
    // From here on the manifest may arrive at any time, until the store has confirmed or refused it.
    this.#finished.pop();
    let isRepeated = false;
    const onRepeated = () => {
      isRepeated = true;
    };
    try {
      const outcome = await store.put(key, sealed, {ifAbsent: true, retained: true, onRepeated});
      // A collector may have ended this lease while the request was under way, and not have seen the manifest.
      if (outcome === 'written') await lease.confirm();
      // A copy of a repeated put may arrive after the manifest was removed, so the next collector decides about it.
      if (!isRepeated) this.#finished.push(pending);
      if (outcome === 'exists') return 'exists';
    } catch (error) {
      if (!(error instanceof BkpError) || !(await this.#counts(key, error))) throw error;
    }
    await requireWritten(store, key, sealed);
    cached?.saveObject(key, sealed);
    lastCommits.note(key);
    newest?.committed(key);
    stats.storedBytes += sealed.length;
    return 'written';
  }

  /** After an error, makes the manifest void, even if it arrives later, unless a collector decided that it counts. */
  async #counts(key: Key, why: BkpError): Promise<boolean> {
    const {store, lease} = this.#deps;
    try {
      const counts = await withdraw(store, key, lease.id);
      this.#finished.push(pendingKey(key, lease.id));
      if (!counts) this.#void.add(key);
      return counts;
    } catch (error) {
      if (!(error instanceof BkpError)) throw error;
      // The store is out of reach: the next collector decides.
      this.#void.add(key);
      throw why;
    }
  }
}
