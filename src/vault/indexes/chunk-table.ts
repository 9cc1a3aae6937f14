import type {SQLInputValue} from 'node:sqlite';
import {yieldToEventLoop} from '../../lib/async.ts';
import type {Entry, PackListing} from '../format/entry.ts';
import {toBytes} from '../format/hash.ts';
import type {IndexId} from '../format/key.ts';
import type {ChunkId, PackId} from '../types.ts';
import {CacheFile, type Row} from './cache-file.ts';
import {countIn, entryIn, idIn} from './chunk-rows.ts';

/** Where one stored form of a chunk is. */
export type Location = Entry & {pack: PackId};

/** The pack of one stored form of a chunk, and the chunk that it is a difference to. */
export type Place = Pick<Location, 'pack' | 'base'>;

/** Rows inserted between two turns of the event loop: a few milliseconds. */
const rowsAtOnce = 2000;

/** A copy of what indexes list, in SQLite. May be deleted at any time. */
export class ChunkTable {
  readonly #file: CacheFile;

  constructor(file: CacheFile) {
    this.#file = file;
  }

  /** An empty table of this process, deleted when it is closed. */
  static private(): ChunkTable {
    return new ChunkTable(CacheFile.private());
  }

  /** Grows when the file failed and an empty one replaced it: read everything from the store again. */
  get generation(): number {
    return this.#file.generation;
  }

  indexes(): Set<IndexId> {
    return new Set(this.#all('SELECT id FROM indexes', [], (row) => idIn<IndexId>(row.id)));
  }

  /** Adds what one index lists. The index counts as known only when all of its packs have been added. */
  async add(index: IndexId, packs: readonly PackListing[]): Promise<void> {
    const {generation} = this;
    let batch: PackListing[] = [];
    let rows = 0;
    for (const pack of packs) {
      batch.push(pack);
      rows += pack.entries.length + 1;
      if (rows < rowsAtOnce) continue;
      this.#addPacks(index, batch);
      batch = [];
      rows = 0;
      await yieldToEventLoop();
    }
    this.#addPacks(index, batch);
    // The file failed meanwhile and lost the first packs: add all of them to the private table that replaced it.
    if (this.generation !== generation) return this.add(index, packs);
    this.#change(() => this.#run('INSERT OR IGNORE INTO indexes VALUES (?)', bytesOf(index)));
  }

  #addPacks(index: IndexId, packs: readonly PackListing[]): void {
    this.#change(() => {
      for (const pack of packs) this.#addPack(index, pack);
    });
  }

  #addPack(index: IndexId, pack: PackListing): void {
    const packId = toBytes(pack.id);
    this.#run('INSERT OR IGNORE INTO packs (id, length) VALUES (?, ?)', packId, pack.lengthBytes);
    const [row] = this.#file.rows('SELECT number FROM packs WHERE id = ?', packId);
    const {number} = row as {number: number};
    this.#run('INSERT OR IGNORE INTO listings VALUES (?, ?)', bytesOf(index), number);
    for (const {id: chunk, offset, storedBytes, plainBytes, encoding, base} of pack.entries) {
      const values = [
        toBytes(chunk),
        number,
        offset,
        storedBytes,
        plainBytes,
        encoding,
        base === undefined ? null : toBytes(base),
      ];
      this.#run('INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)', ...values);
    }
  }

  /** Removes an index, and the packs that no other index lists. */
  drop(index: IndexId): void {
    this.#change(() => {
      const packs = this.#file.rows('SELECT pack FROM listings WHERE index_id = ?', bytesOf(index)) as {pack: number}[];
      this.#run('DELETE FROM indexes WHERE id = ?', bytesOf(index));
      this.#run('DELETE FROM listings WHERE index_id = ?', bytesOf(index));
      for (const {pack} of packs) {
        if (this.#file.rows('SELECT 1 FROM listings WHERE pack = ? LIMIT 1', pack).length > 0) continue;
        this.#run('DELETE FROM chunks WHERE pack = ?', pack);
        this.#run('DELETE FROM packs WHERE number = ?', pack);
      }
    });
  }

  clear(): void {
    this.#change(() => {
      for (const table of ['indexes', 'listings', 'chunks', 'packs']) this.#run(`DELETE FROM ${table}`);
    });
  }

  /** Every location of a chunk; self-contained forms first, because a base must be one. */
  locations(chunk: ChunkId): Location[] {
    return this.#all(
      `SELECT p.id AS pack_id, c.* FROM chunks c JOIN packs p ON p.number = c.pack
       WHERE c.id = ? ORDER BY c.base IS NOT NULL, c.pack`,
      [toBytes(chunk)],
      (row) => ({...entryIn(row), pack: idIn<PackId>(row.pack_id)}),
    );
  }

  /**
   * The places of several chunks, one list for each, ordered as `locations`. For a few hundred chunks, a quarter of the
   * time that as many calls of `locations` take.
   */
  places(chunks: readonly ChunkId[]): Place[][] {
    const rows = this.#all(
      // CROSS JOIN: SQLite looks up each id, and does not read the table instead.
      `SELECT j.key AS number, c.pack, c.base FROM json_each(?) j CROSS JOIN chunks c ON c.id = unhex(j.value)
       ORDER BY j.key, c.base IS NOT NULL, c.pack`,
      [JSON.stringify(chunks)],
      ({number, pack, base}) => ({
        number: countIn(number),
        pack: countIn(pack),
        base: base === null ? undefined : idIn<ChunkId>(base),
      }),
    );
    const packs = new Map<number, PackId>();
    const places = chunks.map((): Place[] => []);
    for (const {number, pack: packNumber, base} of rows) {
      const pack = packs.get(packNumber) ?? this.#packId(packNumber);
      if (pack === undefined) continue;
      packs.set(packNumber, pack);
      places[number]!.push({pack, base});
    }
    return places;
  }

  #packId(number: number): PackId | undefined {
    return this.#all('SELECT id FROM packs WHERE number = ?', [number], (row) => idIn<PackId>(row.id))[0];
  }

  packLength(pack: PackId): number | undefined {
    return this.#all('SELECT length FROM packs WHERE id = ?', [toBytes(pack)], (row) => countIn(row.length))[0];
  }

  packs(): {id: PackId; lengthBytes: number}[] {
    return this.#all('SELECT id, length FROM packs ORDER BY number', [], (row) => ({
      id: idIn<PackId>(row.id),
      lengthBytes: countIn(row.length),
    }));
  }

  packsOfIndex(index: IndexId): PackId[] {
    return this.#all(
      'SELECT p.id FROM listings l JOIN packs p ON p.number = l.pack WHERE l.index_id = ? ORDER BY l.pack',
      [bytesOf(index)],
      (row) => idIn<PackId>(row.id),
    );
  }

  indexesOfPack(pack: PackId): IndexId[] {
    return this.#all(
      'SELECT l.index_id AS id FROM listings l JOIN packs p ON p.number = l.pack WHERE p.id = ?',
      [toBytes(pack)],
      (row) => idIn<IndexId>(row.id),
    );
  }

  /** Stored bytes of all chunks of the pack; 0 when it is not known. */
  chunkBytes(pack: PackId): number {
    return this.#all(
      'SELECT coalesce(sum(c.stored), 0) AS n FROM packs p JOIN chunks c ON c.pack = p.number WHERE p.id = ?',
      [toBytes(pack)],
      (row) => countIn(row.n),
    )[0]!;
  }

  chunkCount(): number {
    return this.#all('SELECT count(*) AS n FROM chunks', [], (row) => countIn(row.n))[0]!;
  }

  /** Entries of one pack in the order of their chunks. */
  entries(pack: PackId): Entry[] {
    return this.#all(
      'SELECT c.* FROM chunks c JOIN packs p ON p.number = c.pack WHERE p.id = ? ORDER BY c.offset',
      [toBytes(pack)],
      entryIn,
    );
  }

  close(): void {
    this.#file.close();
  }

  #all<Result>(sql: string, values: readonly SQLInputValue[], read: (row: Row) => Result): Result[] {
    return this.#file.all(sql, values, read);
  }

  #change(work: () => void): void {
    this.#file.change(work);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#file.run(sql, ...values);
  }
}

const bytesOf = (index: IndexId) => Buffer.from(index, 'hex');
