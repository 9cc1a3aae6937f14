import type {PackId} from '../types.ts';
import type {Removals} from './removals.ts';

/** What is known against packs, from the last listing of the store. */
export class PackTrust {
  /** Packs that an index lists but that are missing from the store or have the wrong length. */
  absent: ReadonlySet<PackId> = new Set();
  #damaged = new Set<PackId>();
  #removals: Removals = {packs: new Map()};
  #toRemove: ReadonlySet<PackId> = new Set();

  /** Packs that a verification found damaged. They are read only if a chunk has no better location. */
  get damaged(): ReadonlySet<PackId> {
    return this.#damaged;
  }

  set damaged(packs: ReadonlySet<PackId>) {
    this.#damaged = new Set(packs);
  }

  /**
   * The collectors' notes. The packs they name may be removed at any time: they are read, but no backup relies
   * on them.
   */
  get removals(): Removals {
    return this.#removals;
  }

  set removals(removals: Removals) {
    this.#removals = removals;
    this.#toRemove = new Set([...removals.packs.values()].flat());
  }

  isToBeRemoved(pack: PackId): boolean {
    return this.#toRemove.has(pack);
  }

  /** False for a pack that was found damaged, or that a collector is about to remove. */
  mayRelyOn(pack: PackId): boolean {
    return !this.#damaged.has(pack) && !this.#toRemove.has(pack);
  }

  /** 0 for a pack that may be relied on; higher for worse ones. */
  rank(pack: PackId): number {
    return 2 * Number(this.#damaged.has(pack)) + Number(this.#toRemove.has(pack));
  }

  clearDamage(packs: Iterable<PackId>): void {
    for (const pack of packs) this.#damaged.delete(pack);
  }
}
