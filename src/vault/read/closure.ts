import {DatabaseSync, type SQLOutputValue, type StatementSync} from 'node:sqlite';
import {assert} from '../../errors/index.ts';
import {yieldToEventLoop} from '../../lib/async.ts';
import type {ChunkEncoding} from '../format/entry.ts';
import {readId, toBytes} from '../format/hash.ts';
import {recipeKey} from '../format/recipe.ts';
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
 *
 * Streams, lists and chunks are counted, so that a stream can be taken out again, and what many streams share is looked
 * up once: successive backups have most of their streams in common.
 */
export class Closure {
  readonly #index: ChunkIndex;
  readonly #reader: StreamReader;
  readonly #recovery: Recovery;
  readonly #db = new DatabaseSync('');
  readonly #has: StatementSync;
  readonly #use: StatementSync;
  readonly #insert: StatementSync;
  /** How many times each stream was added. */
  readonly #streams = new Map<string, number>();
  /** How many streams and lists name each list of ids, by level. */
  readonly #lists = new Map<string, number>();
  readonly #packs = new Map<PackId, number>();
  #storedBytes = 0;
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
      CREATE TABLE needed (
        id BLOB PRIMARY KEY, pack BLOB, offset, stored, plain, encoding, base BLOB, uses
      ) WITHOUT ROWID;
      CREATE INDEX by_pack ON needed (pack, offset);
    `);
    this.#has = this.#db.prepare('SELECT * FROM needed WHERE id = ?');
    this.#use = this.#db.prepare('UPDATE needed SET uses = uses + ? WHERE id = ?');
    this.#insert = this.#db.prepare('INSERT INTO needed VALUES (?, ?, ?, ?, ?, ?, ?, 1)');
  }

  /** Adds what one stream needs. @param onFault gets the error of an unreadable list, whose chunks are then left out */
  async addStream(recipe: Recipe, onFault: (error: unknown) => void, signal?: AbortSignal): Promise<void> {
    const key = recipeKey(recipe);
    if (counted(this.#streams, key, 1) > 1) return;
    const added: string[] = [];
    const isNew = (list: string) => {
      if (counted(this.#lists, list, 1) > 1) return false;
      added.push(list);
      return true;
    };
    try {
      await this.#walk(recipe, isNew, (id) => this.#add(id), signal);
    } catch (error) {
      // Another stream that needs them must not take them for complete.
      this.#streams.delete(key);
      for (const list of added) this.#lists.delete(list);
      signal?.throwIfAborted();
      onFault(error);
    }
  }

  /**
   * Takes out what was added for one stream and no other needs. Only for a closure without faults and missing chunks.
   * @throws BkpError if a list cannot be read any more: the closure is then of no use
   */
  async removeStream(recipe: Recipe, signal?: AbortSignal): Promise<void> {
    if (counted(this.#streams, recipeKey(recipe), -1) > 0) return;
    const isLast = (list: string) => counted(this.#lists, list, -1) === 0;
    await this.#walk(recipe, isLast, (id) => this.#remove(id), signal);
  }

  /** Visits the chunks of a stream level by level. @param enters whether to visit what a list names, too */
  async #walk(
    recipe: Recipe,
    enters: (list: string) => boolean,
    visit: (id: ChunkId) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let ids = this.#reader.ids({...recipe, depth: 0}, signal, this.#recovery);
    for (let {depth} = recipe; ; depth--) {
      const lists: ChunkId[] = [];
      for await (const id of ids) {
        await visit(id);
        if (depth > 0 && enters(`${depth} ${id}`)) lists.push(id);
        signal?.throwIfAborted();
      }
      if (depth === 0 || lists.length === 0) return;
      ids = this.#reader.ids({sizeBytes: 0, depth: 1, chunks: lists}, signal, this.#recovery);
    }
  }

  async #add(id: ChunkId): Promise<void> {
    if (++this.#sinceYield >= idsAtOnce) {
      this.#sinceYield = 0;
      await yieldToEventLoop();
    }
    if (this.#usedAgain(id) || this.missing.has(id)) return;
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
    if (this.#usedAgain(id)) return;
    const base = location.base === undefined ? null : toBytes(location.base);
    const {pack, offset, storedBytes, plainBytes, encoding} = location;
    this.#insert.run(toBytes(id), toBytes(pack), offset, storedBytes, plainBytes, encoding, base);
    this.#count(pack, storedBytes);
    if (location.base !== undefined) await this.#add(location.base);
  }

  async #remove(id: ChunkId): Promise<void> {
    const row = this.#has.get(toBytes(id));
    assert(row !== undefined, 'only what was added is removed');
    if ((row.uses as number) > 1) {
      this.#use.run(-1, toBytes(id));
      return;
    }
    this.#db.prepare('DELETE FROM needed WHERE id = ?').run(toBytes(id));
    this.#count(readId<PackId>(row.pack as Uint8Array), -(row.stored as number));
    if (row.base !== null) await this.#remove(readId<ChunkId>(row.base as Uint8Array));
  }

  #usedAgain(id: ChunkId): boolean {
    return this.#use.run(1, toBytes(id)).changes === 1;
  }

  #count(pack: PackId, bytes: number): void {
    this.#storedBytes += bytes;
    counted(this.#packs, pack, bytes);
  }

  has(id: ChunkId): boolean {
    return this.#has.get(toBytes(id)) !== undefined;
  }

  /** The needed packs, with the stored bytes needed of each. */
  packs(): ReadonlyMap<PackId, number> {
    return this.#packs;
  }

  /** The needed chunks of one pack in the order of their offsets. */
  chunksOf(pack: PackId): Location[] {
    const rows = this.#db.prepare('SELECT * FROM needed WHERE pack = ? ORDER BY offset').all(toBytes(pack));
    return rows.map((row) => locationOfRow(row, pack));
  }

  storedBytes(): number {
    return this.#storedBytes;
  }

  close(): void {
    this.#db.close();
  }
}

/** Adds to a count, without which 0 is. @returns the new one */
function counted<Key>(counts: Map<Key, number>, key: Key, change: number): number {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
  return count;
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
