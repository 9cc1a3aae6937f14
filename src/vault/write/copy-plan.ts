import {DatabaseSync, type StatementSync} from 'node:sqlite';
import {yieldToEventLoop} from '../../lib/async.ts';
import type {Store} from '../../stores/index.ts';
import {readId, toBytes} from '../format/hash.ts';
import type {ChunkIndex} from '../indexes/chunk-index.ts';
import type {Location} from '../indexes/chunk-table.ts';
import {locationOfRow} from '../read/closure.ts';
import type {Recovery} from '../read/recovery.ts';
import type {StreamReader} from '../read/stream-reader.ts';
import type {ChunkId, PackId, Recipe} from '../types.ts';

/** The vault that is copied from, as the writer of another one reads it. */
export type CopySource = {store: Store; index: ChunkIndex; reader: StreamReader};

/** Ids looked up before the event loop gets its turn: a few milliseconds. */
const idsAtOnce = 256;

/**
 * What of some streams of one vault another one lacks: each chunk once, those of long recipes' lists included, and the bases of
 * the differences that are copied, in a self-contained form. Kept in a private SQLite table, as a closure is.
 */
export class CopyPlan {
  readonly #source: CopySource;
  readonly #target: ChunkIndex;
  readonly #recovery: Recovery;
  readonly #db = new DatabaseSync('');
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  #added = 0;

  constructor(source: CopySource, target: ChunkIndex, recovery: Recovery) {
    this.#source = source;
    this.#target = target;
    this.#recovery = recovery;
    // Packs are wanted in the order in which the streams need them: so the copy is laid out as a restore reads it.
    this.#db.exec(`
      PRAGMA synchronous = OFF;
      CREATE TABLE chunks (
        id BLOB PRIMARY KEY, pack BLOB, offset, stored, plain, encoding, base BLOB, held, place INTEGER
      ) WITHOUT ROWID;
      CREATE INDEX by_pack ON chunks (pack, offset) WHERE NOT held;
    `);
    this.#find = this.#db.prepare('SELECT held, base FROM chunks WHERE id = ?');
    this.#insert = this.#db.prepare('INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  }

  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` when not all can be had that the stream needs */
  async addStream(recipe: Recipe, signal?: AbortSignal): Promise<void> {
    for (let depth = recipe.depth; depth >= 0; depth--) {
      const level = {...recipe, depth: recipe.depth - depth};
      for await (const id of this.#source.reader.ids(level, signal, this.#recovery)) {
        await this.#add(id);
        signal?.throwIfAborted();
      }
    }
  }

  async #add(id: ChunkId): Promise<void> {
    if (this.#find.get(toBytes(id)) !== undefined) return;
    const place = await this.#recovery.locate(id);
    const isHeld = this.#target.hasReliable(id);
    this.#put(place, isHeld);
    if (!isHeld && place.base !== undefined) await this.#addBase(place.base);
    if (this.#added % idsAtOnce === 0) await yieldToEventLoop();
  }

  /** A base is one only with a form of its own. */
  async #addBase(id: ChunkId): Promise<void> {
    const row = this.#find.get(toBytes(id));
    if (row?.held === 0 && row.base === null) return;
    const isHeld = this.#target.hasReliableBase(id);
    if (isHeld && row !== undefined) return;
    this.#put(await this.#recovery.locate(id, ({base}) => base === undefined), isHeld);
  }

  #put({id, pack, offset, storedBytes, plainBytes, encoding, base}: Location, isHeld: boolean): void {
    const baseBytes = base === undefined ? null : toBytes(base);
    const common = [toBytes(id), toBytes(pack), offset, storedBytes, plainBytes, encoding, baseBytes] as const;
    this.#insert.run(...common, Number(isHeld), this.#added++);
  }

  /** All chunks, and their stored bytes in the source; `heldBytes` of them the target has. */
  totals(): {chunks: number; bytes: number; heldBytes: number} {
    const sql = 'SELECT count(*) AS n, coalesce(sum(stored), 0) AS b, coalesce(sum(stored * held), 0) AS h FROM chunks';
    const {n, b, h} = this.#db.prepare(sql).get() as {n: number; b: number; h: number};
    return {chunks: n, bytes: b, heldBytes: h};
  }

  /** Packs of the source from which something is copied. */
  packs(): PackId[] {
    const rows = this.#db.prepare('SELECT pack FROM chunks WHERE NOT held GROUP BY pack ORDER BY min(place)').all();
    return rows.map((row) => readId<PackId>(row.pack as Uint8Array));
  }

  /** What is copied from one pack, in the order in which it lies there. */
  chunksOf(pack: PackId): Location[] {
    const rows = this.#db
      .prepare('SELECT * FROM chunks WHERE pack = ? AND NOT held ORDER BY offset')
      .all(toBytes(pack));
    return rows.map((row) => locationOfRow(row, pack));
  }

  close(): void {
    this.#db.close();
  }
}
