import {readSync} from 'node:fs';
import {varintAt, varintEnd} from '../pages/big-endian.ts';
import {innerType, localBytes} from '../pages/page-types.ts';
import type {DatabaseHeader} from './database-header.ts';
import type {PageGaps} from './page-gaps.ts';
import {pointerTypes} from './pointer-types.ts';
import {writeAt} from './write-at.ts';

const entryBytes = 5;

/** A map that lacks entries. */
type OpenMap = {bytes: Buffer; missing: number};

/**
 * The pointer maps of a database with auto_vacuum: a type and a parent for each page
 * (https://www.sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages). Entries of the pages that SQLite wrote stay.
 *
 * A map is written when it is complete. Parents become known soon after their children, so few maps are in memory.
 */
export class PointerMap {
  readonly #file: number;
  readonly #header: DatabaseHeader;
  readonly #gaps: PageGaps;
  readonly #open = new Map<number, OpenMap>();

  /** @param header as SQLite wrote it */
  constructor(file: number, header: DatabaseHeader, gaps: PageGaps) {
    this.#file = file;
    this.#header = header;
    this.#gaps = gaps;
  }

  set(page: number, type: number, parent: number): void {
    const mapPage = this.#gaps.mapOf(page);
    const map = this.#openMap(mapPage, page);
    const at = entryBytes * (page - mapPage - 1);
    map.bytes[at] = type;
    map.bytes.writeUInt32BE(parent, at + 1);
    map.missing--;
    if (map.missing === 0) this.#write(mapPage, map);
  }

  /** Sets many entries. @param entries page, type, parent; page, type, parent; … */
  setAll(entries: Uint32Array): void {
    for (let i = 0; i < entries.length; i += 3) this.set(entries[i]!, entries[i + 1]!, entries[i + 2]!);
  }

  /** Writes the maps that lack entries: those of the last pages. */
  finish(): void {
    for (const [page, map] of this.#open) this.#write(page, map);
  }

  #openMap(mapPage: number, page: number): OpenMap {
    const open = this.#open.get(mapPage);
    if (open !== undefined) return open;
    const bytes = Buffer.alloc(this.#header.pageSize);
    readSync(this.#file, bytes, 0, bytes.length, this.#position(mapPage));
    const map = {bytes, missing: this.#newPages(mapPage, page)};
    this.#open.set(mapPage, map);
    return map;
  }

  /** How many pages have their entries in the map and were not written by SQLite. @param page one of them */
  #newPages(mapPage: number, page: number): number {
    const last = 1 + (this.#gaps.groupOf(page) + 1) * this.#gaps.mapInterval!;
    const first = Math.max(mapPage, this.#header.pages) + 1;
    const {lockPage} = this.#gaps;
    return last - first + 1 - (first <= lockPage && lockPage <= last ? 1 : 0);
  }

  #write(page: number, {bytes}: OpenMap): void {
    writeAt(this.#file, bytes, this.#position(page));
    this.#open.delete(page);
  }

  #position(page: number): number {
    return (page - 1) * this.#header.pageSize;
  }
}

/** Sets the entries of the pages that an inner page points to: children, and the first overflow pages of its keys. */
export function mapInnerPage(map: PointerMap, number: number, page: Buffer, usableBytes: number): void {
  const isTable = page[0] === innerType.rowid;
  const cells = page.readUInt16BE(3);
  map.set(page.readUInt32BE(8), pointerTypes.child, number);
  for (let i = 0; i < cells; i++) {
    const cell = page.readUInt16BE(12 + 2 * i);
    map.set(page.readUInt32BE(cell), pointerTypes.child, number);
    const overflow = isTable ? undefined : overflowOf(page, cell + 4, usableBytes);
    if (overflow !== undefined) map.set(overflow, pointerTypes.firstOverflow, number);
  }
}

/** The first overflow page of a key; undefined if it has none. */
function overflowOf(page: Buffer, key: number, usableBytes: number): number | undefined {
  const payload = varintAt(page, key);
  const local = localBytes(payload, usableBytes, 'key');
  return local === payload ? undefined : page.readUInt32BE(varintEnd + local);
}
