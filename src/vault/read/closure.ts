import {DatabaseSync, type SQLOutputValue, type StatementSync} from 'node:sqlite';
import {yieldToEventLoop} from '../../lib/async.ts';
import type {ChunkEncoding} from '../format/entry.ts';
import {readId, toBytes} from '../format/hash.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import type {ChunkId, PackId, Recipe} from '../types.ts';
import {Recovery} from './recovery.ts';
import type {StreamReader} from './stream-reader.ts';

/** Ids looked up between two turns of the event loop: a few milliseconds. */
const idsAtOnce = 256;

/**
 * All that some streams need: every chunk once, including bases and the lists of long recipes, and for each chunk the
 * one location that is relied on. It is a private SQLite table, because the chunks of a large vault do not fit into
 * memory.
 */
export class Closure {
  readonly #index: ChunkIndex;
  readonly #reader: StreamReader;
  readonly #recovery: Recovery;
  readonly #db = new DatabaseSync('');
  readonly #has: StatementSync;
  readonly #insert: StatementSync;
  /** Chunks that are in no pack. */
  readonly missing = new Set<ChunkId>();
  #sinceYield = 0;

  constructor(index: ChunkIndex, reader: StreamReader) {
    this.#index = index;
    this.#reader = reader;
    this.#recovery = new Recovery(index);
    // Chunks of one pack are read in the order of their offsets; every addition looks up an id.
    this.#db.exec(`
      PRAGMA synchronous = OFF;
      CREATE TABLE needed (id BLOB PRIMARY KEY, pack BLOB, offset, stored, plain, encoding, base BLOB) WITHOUT ROWID;
      CREATE INDEX by_pack ON needed (pack, offset);
    `);
    this.#has = this.#db.prepare('SELECT 1 FROM needed WHERE id = ?');
    this.#insert = this.#db.prepare('INSERT INTO needed VALUES (?, ?, ?, ?, ?, ?, ?)');
  }

  /** Adds what one stream needs. @param onFault gets the error of an unreadable list, whose chunks are then left out */
  async addStream(recipe: Recipe, onFault: (error: unknown) => void, signal?: AbortSignal): Promise<void> {
    try {
      for (let depth = recipe.depth; depth >= 0; depth--) {
        for await (const id of this.#reader.ids({...recipe, depth: recipe.depth - depth}, signal, this.#recovery)) {
          await this.#add(id);
          signal?.throwIfAborted();
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      onFault(error);
    }
  }

  async #add(id: ChunkId): Promise<void> {
    if (++this.#sinceYield >= idsAtOnce) {
      this.#sinceYield = 0;
      await yieldToEventLoop();
    }
    if (this.has(id) || this.missing.has(id)) return;
    let location = this.#index.locate(id);
    if (location === undefined) {
      await this.#recovery.run();
      location = this.#index.locate(id);
    }
    if (location === undefined) {
      this.missing.add(id);
      return;
    }
    // A concurrent call may have added it in the meantime.
    if (this.has(id)) return;
    const base = location.base === undefined ? null : toBytes(location.base);
    const {offset, storedBytes, plainBytes, encoding} = location;
    this.#insert.run(toBytes(id), toBytes(location.pack), offset, storedBytes, plainBytes, encoding, base);
    if (location.base !== undefined) await this.#add(location.base);
  }

  has(id: ChunkId): boolean {
    return this.#has.get(toBytes(id)) !== undefined;
  }

  /** The needed packs, with the stored bytes needed of each. */
  packs(): Map<PackId, number> {
    const rows = this.#db.prepare('SELECT pack, sum(stored) AS stored FROM needed GROUP BY pack').all();
    return new Map(rows.map((row) => [readId<PackId>(row.pack as Uint8Array), row.stored as number]));
  }

  /** The needed chunks of one pack in the order of their offsets. */
  chunksOf(pack: PackId): Location[] {
    const rows = this.#db.prepare('SELECT * FROM needed WHERE pack = ? ORDER BY offset').all(toBytes(pack));
    return rows.map((row) => locationOfRow(row, pack));
  }

  storedBytes(): number {
    return this.#db.prepare('SELECT coalesce(sum(stored), 0) AS n FROM needed').get()!.n as number;
  }

  close(): void {
    this.#db.close();
  }
}

/** A location from a row of a private table, such as the closure's. */
export function locationOfRow(row: Record<string, SQLOutputValue>, pack: PackId): Location {
  return {
    id: readId<ChunkId>(row.id as Uint8Array),
    pack,
    offset: row.offset as number,
    storedBytes: row.stored as number,
    plainBytes: row.plain as number,
    encoding: row.encoding as ChunkEncoding,
    ...(row.base === null ? {} : {base: readId<ChunkId>(row.base as Uint8Array)}),
  };
}
