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

/** What the writer of another vault reads from the vault that is copied. */
export type CopySource = {store: Store; index: ChunkIndex; reader: StreamReader};

/** Ids looked up between two turns of the event loop: a few milliseconds. */
const idsAtOnce = 256;

/**
 * What some streams of the source need, and what of it the target does not have: each chunk once, including the lists
 * of long recipes, and the bases of the copied differences in a self-contained form. A private SQLite table, like a
 * closure.
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
    // Packs are copied in the order in which the streams need them, so that the copy has the order in which a restore
    // reads it.
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

  /** @throws BkpError `OBJECT_MISSING` | `OBJECT_DAMAGED` if the source lacks something that the stream needs */
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
    const location = await this.#recovery.locate(id);
    const isHeld = this.#target.hasReliable(id);
    this.#put(location, isHeld);
    if (!isHeld && location.base !== undefined) await this.#addBase(location.base);
    if (this.#added % idsAtOnce === 0) await yieldToEventLoop();
  }

  /** A chunk serves as a base only in a self-contained form. */
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

  /** All chunks, and their stored bytes in the source; the target already has `heldBytes` of them. */
  totals(): {chunks: number; bytes: number; heldBytes: number} {
    const sql = 'SELECT count(*) AS n, coalesce(sum(stored), 0) AS b, coalesce(sum(stored * held), 0) AS h FROM chunks';
    const {n, b, h} = this.#db.prepare(sql).get() as {n: number; b: number; h: number};
    return {chunks: n, bytes: b, heldBytes: h};
  }

  /** The packs of the source from which chunks are copied. */
  packs(): PackId[] {
    const rows = this.#db.prepare('SELECT pack FROM chunks WHERE NOT held GROUP BY pack ORDER BY min(place)').all();
    return rows.map((row) => readId<PackId>(row.pack as Uint8Array));
  }

  /** The chunks that are copied from one pack, in the order of their offsets. */
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
