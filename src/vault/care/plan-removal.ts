import type {Key} from '../../stores/index.ts';
import {isDamage} from '../format/damage.ts';
import {isManifestKey, manifestPrefixes} from '../format/key.ts';
import {readManifest} from '../format/manifest.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {PacksInStore} from '../indexes/listing.ts';
import {listCounted} from '../lease/verdict.ts';
import {Closure} from '../read/closure.ts';
import type {CollectPlan, PackId} from '../types.ts';
import {isSmall, smallAtLeast} from '../write/merge-small.ts';
import {type MarkDeps, markNeeded} from './mark.ts';

/** A pack is rewritten without its unneeded chunks if less than this part of its chunk bytes is needed. */
const sparseBelow = 0.5;

export type PlanRequest = {
  index: ChunkIndex;
  packs: PacksInStore;
  /** Needed stored bytes of each pack. */
  needed: ReadonlyMap<PackId, number>;
  /** Packs of removed manifests, for which the grace time does not apply. */
  released: ReadonlySet<PackId>;
  /** Unneeded packs that were modified later than this, by the store's clock, may belong to an interrupted backup. */
  youngAfterMs: number;
  /** The store locks objects, so that a rewritten pack would stay beside its copy. */
  locksObjects: boolean;
};

/** Decides which packs a collector removes or rewrites. */
export function planRemoval({index, packs, needed, released, youngAfterMs, locksObjects}: PlanRequest): CollectPlan {
  const deadPacks: PackId[] = [];
  const sparsePacks: PackId[] = [];
  const smallPacks: PackId[] = [];
  let freedBytes = 0;
  for (const [pack, {lengthBytes, modifiedAtMs}] of packs) {
    const neededBytes = needed.get(pack) ?? 0;
    // A collector that did not end may still remove it, so what is needed of it has to be copied.
    const isToBeRemoved = index.isToBeRemoved(pack);
    if (neededBytes > 0 && !isToBeRemoved) {
      // Compared with the chunks alone: a small pack is mostly its table, and would be rewritten again and again.
      const isSparse = neededBytes < index.chunkBytes(pack) * sparseBelow;
      if (!isSparse && !locksObjects && isSmall(lengthBytes)) smallPacks.push(pack);
      if (!isSparse || locksObjects) continue;
    }
    const isYoung = modifiedAtMs > youngAfterMs;
    if (neededBytes > 0) sparsePacks.push(pack);
    else if (!isYoung || isToBeRemoved || released.has(pack)) deadPacks.push(pack);
    else continue;
    freedBytes += lengthBytes - neededBytes;
  }
  return {deadPacks, sparsePacks, smallPacks: smallPacks.length < smallAtLeast ? [] : smallPacks, freedBytes};
}

/** The packs that these manifests need, without those that cannot be read. */
export async function packsOf({store, index, reader}: MarkDeps, manifests: readonly Key[]): Promise<readonly PackId[]> {
  const closure = new Closure(index, reader);
  try {
    for (const key of manifests) {
      try {
        for (const recipe of (await readManifest(store, key)).streams) await closure.addStream(recipe, () => {});
      } catch (error) {
        if (!isDamage(error)) throw error;
      }
    }
    return [...closure.packs().keys()];
  } finally {
    closure.close();
  }
}

/** What a collector would plan now if these manifests were gone. Without a lease, so the store may change meanwhile. */
export async function planTrial(
  deps: MarkDeps,
  {without, youngAfterMs, signal}: {without: readonly Key[]; youngAfterMs: number; signal: AbortSignal | undefined},
): Promise<CollectPlan> {
  const {store, index} = deps;
  const packs = await index.apply(await index.observe());
  index.requireReadableRemovals();
  const gone = new Set(without);
  const released = new Set(await packsOf(deps, without));
  const manifests: Key[] = [];
  for (const prefix of manifestPrefixes) {
    for await (const {key} of listCounted(store, prefix)) if (isManifestKey(key) && !gone.has(key)) manifests.push(key);
  }
  const closure = await markNeeded(deps, manifests, signal);
  try {
    const needed = closure.packs();
    return planRemoval({index, packs, needed, released, youngAfterMs, locksObjects: store.retain !== undefined});
  } finally {
    closure.close();
  }
}
