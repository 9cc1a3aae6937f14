import {lockBytePage} from '../pages/page-types.ts';

/**
 * The pages of a database that belong to no tree and never contain anything of one: the page with the bytes that SQLite
 * locks, and the pointer-map pages of a database with auto_vacuum.
 */
export class PageGaps {
  readonly lockPage: number;
  /** Pages from one pointer map to the next; undefined without auto_vacuum. */
  readonly mapInterval: number | undefined;

  constructor({pageSize, usableBytes, hasMaps}: {pageSize: number; usableBytes: number; hasMaps: boolean}) {
    this.lockPage = lockBytePage(pageSize);
    this.mapInterval = hasMaps ? Math.floor(usableBytes / 5) + 1 : undefined;
  }

  /** The first gap at or after the page; Infinity if there is none. */
  next(page: number): number {
    const lock = page <= this.lockPage ? this.lockPage : Number.POSITIVE_INFINITY;
    return this.mapInterval === undefined ? lock : Math.min(lock, this.#nextMap(page, this.mapInterval));
  }

  /** The pointer map with the entry of the page. Only with auto_vacuum. */
  mapOf(page: number): number {
    return this.#map(this.groupOf(page), this.mapInterval!);
  }

  /** Pages `2 + group * mapInterval` and those that follow have their entries in the same map. */
  groupOf(page: number): number {
    return Math.floor((page - 2) / this.mapInterval!);
  }

  #nextMap(page: number, interval: number): number {
    if (page <= 2) return 2;
    const group = this.groupOf(page);
    const own = this.#map(group, interval);
    return own >= page ? own : this.#map(group + 1, interval);
  }

  /** A map that would be the lock page is the page after it: `ptrmapPageno` in SQLite's src/btree.c. */
  #map(group: number, interval: number): number {
    const page = 2 + group * interval;
    return page === this.lockPage ? page + 1 : page;
  }
}
