import {closeSync, copyFileSync, openSync, readFileSync, writeSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';

// A database of which single pages are damaged. The pages are found by a second reader of the file format
// (https://www.sqlite.org/fileformat2.html), which trusts the undamaged file.

export const pageBytes = 1024;

/** The pages of a tree. `parents` names the inner page above each page, and the cell in it (-1: the last child). */
export type TreePages = {
  root: number;
  inner: number[];
  leaves: number[];
  overflow: number[];
  parents: Map<number, {page: number; cell: number}>;
};

/**
 * Rowid trees of three levels with overflow chains, indexes of them, a table without rowid; free blocks in their
 * leaves, and free pages.
 */
export function makeDatabase(path: string): void {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA synchronous = OFF; BEGIN;
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, note TEXT, code TEXT UNIQUE);
    CREATE INDEX by_customer ON orders (customer, note);
    CREATE TABLE plain (id INTEGER PRIMARY KEY, a, b);
    CREATE TABLE pairs (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE gone (x);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
    INSERT INTO orders
    SELECT i * 3, 'customer ' || (i * 7919 % 500), 'note ' || i, printf('%x', i * 2654435761 % 4294967296) FROM n;
    INSERT INTO plain SELECT id * 5, customer, 1.5 * id FROM orders;
    INSERT INTO pairs SELECT customer, id, note FROM orders;
    INSERT INTO gone SELECT note FROM orders;
    UPDATE orders SET note = hex(zeroblob(900 + id)) WHERE id % 1500 = 0;
    UPDATE plain SET a = hex(zeroblob(2000)) WHERE id % 6000 = 0;
    UPDATE pairs SET c = hex(zeroblob(2500)) WHERE b % 3000 = 0;
    DELETE FROM orders WHERE id % 11 = 0; DELETE FROM plain WHERE id % 13 = 0; DELETE FROM pairs WHERE b % 17 = 0;
    DROP TABLE gone; COMMIT`);
  db.close();
}

/** The database file, of which pages can be read and changed. */
export class DamagedFile {
  readonly path: string;
  readonly #good: Buffer;

  constructor(path: string) {
    this.path = path;
    this.#good = readFileSync(path);
  }

  get pages(): number {
    return this.#good.length / pageBytes;
  }

  /** A copy of an undamaged page. */
  page(page: number): Buffer {
    return Buffer.from(this.#good.subarray((page - 1) * pageBytes, page * pageBytes));
  }

  /** A copy of the file with one page changed. */
  damage(to: string, page: number, change: (bytes: Buffer) => void): void {
    copyFileSync(this.path, to);
    const bytes = this.page(page);
    change(bytes);
    const file = openSync(to, 'r+');
    writeSync(file, bytes, 0, pageBytes, (page - 1) * pageBytes);
    closeSync(file);
  }

  tree(name: string): TreePages {
    const db = new DatabaseSync(this.path, {readOnly: true});
    const root = Number(db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name)!.rootpage);
    db.close();
    const found: TreePages = {root, inner: [], leaves: [], overflow: [], parents: new Map()};
    this.#collect(root, found);
    return found;
  }

  #collect(page: number, found: TreePages): void {
    const bytes = this.page(page);
    const isInner = bytes[0] === 2 || bytes[0] === 5;
    (isInner ? found.inner : found.leaves).push(page);
    for (const [cell, at] of cellsOf(bytes).entries()) {
      if (isInner) {
        const child = bytes.readUInt32BE(at);
        found.parents.set(child, {page, cell});
        this.#collect(child, found);
      }
      found.overflow.push(...this.#chain(overflowOf(bytes, at)));
    }
    if (!isInner) return;
    const last = bytes.readUInt32BE(8);
    found.parents.set(last, {page, cell: -1});
    this.#collect(last, found);
  }

  #chain(pointer: number | undefined): number[] {
    const pages: number[] = [];
    for (let page = pointer ?? 0; page !== 0; page = this.page(page).readUInt32BE(0)) pages.push(page);
    return pages;
  }
}

export const headerOf = (bytes: Buffer): number => (bytes[0] === 2 || bytes[0] === 5 ? 12 : 8);

/** The offsets of the cells, in their order. */
export function cellsOf(bytes: Buffer): number[] {
  return Array.from({length: bytes.readUInt16BE(3)}, (_, cell) => bytes.readUInt16BE(headerOf(bytes) + 2 * cell));
}

/** @returns the value of a varint of at most 4 bytes and where it ends */
export function varint(bytes: Buffer, at: number): {value: number; end: number} {
  let value = 0;
  for (let end = at; ; ) {
    const byte = bytes.readUInt8(end++);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return {value, end};
  }
}

/** Where the record of a cell has its length, its rowid (rowid leaves) and its payload. */
export function partsOf(bytes: Buffer, cell: number): {length: number; rowid: number; payload: number; bytes: number} {
  const length = bytes[0] === 2 ? cell + 4 : cell;
  const {value, end} = varint(bytes, length);
  return {length, rowid: end, payload: bytes[0] === 13 ? varint(bytes, end).end : end, bytes: value};
}

/** Where the number of the first overflow page is; undefined if the cell has none. */
export function overflowAt(bytes: Buffer, cell: number): number | undefined {
  if (bytes[0] === 5) return undefined;
  const {payload, bytes: length} = partsOf(bytes, cell);
  const most = bytes[0] === 13 ? pageBytes - 35 : Math.floor(((pageBytes - 12) * 64) / 255) - 23;
  if (length <= most) return undefined;
  const least = Math.floor(((pageBytes - 12) * 32) / 255) - 23;
  const local = least + ((length - least) % (pageBytes - 4));
  return payload + (local <= most ? local : least);
}

function overflowOf(bytes: Buffer, cell: number): number | undefined {
  const at = overflowAt(bytes, cell);
  return at === undefined ? undefined : bytes.readUInt32BE(at);
}
