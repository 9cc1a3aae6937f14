import {rmSync} from 'node:fs';
import {DatabaseSync, type StatementSync} from 'node:sqlite';
import {systemCode} from '../errors/index.ts';
import type {ChunkEncoding, Entry, PackListing} from './entry.ts';
import {readId, toBytes} from './hash.ts';
import {breathe} from './in-order.ts';
import type {IndexId} from './key.ts';
import type {ChunkId, PackId} from './types.ts';

/** Where one stored form of a chunk lies. */
export type Location = Entry & {pack: PackId};

const schemaVersion = 1;

/** Rows inserted before the event loop gets its turn: a few milliseconds. */
const rowsAtOnce = 2000;

/** How long another process of ours may hold the file. */
const busyTimeoutMs = 20_000;

const schema = `
  CREATE TABLE vault (id TEXT NOT NULL);
  CREATE TABLE indexes (id BLOB PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE packs (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, length INTEGER NOT NULL);
  CREATE TABLE listings (index_id BLOB, pack INTEGER, PRIMARY KEY (index_id, pack)) WITHOUT ROWID;
  CREATE TABLE chunks (
    id BLOB, pack INTEGER, offset INTEGER NOT NULL, stored INTEGER NOT NULL, plain INTEGER NOT NULL,
    encoding INTEGER NOT NULL, base BLOB, PRIMARY KEY (id, pack)
  ) WITHOUT ROWID;
  CREATE INDEX chunks_of_pack ON chunks (pack, offset);
  CREATE INDEX listings_of_pack ON listings (pack);
`;

/**
 * What indexes say, in SQLite: which chunk lies where. A copy: it can be deleted at any time.
 * A file is shared by the processes of a home.
 */
export class ChunkTable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** A table of our own, empty, gone when it is closed; large ones spill to a temporary file. */
  static private(): ChunkTable {
    const db = new DatabaseSync('');
    db.exec(schema);
    return new ChunkTable(db);
  }

  /** The table in `file`; one that is damaged, of another version or another vault is made anew. */
  static open(file: string, vaultId: string): ChunkTable {
    try {
      return ChunkTable.#openFile(file, vaultId);
    } catch (error) {
      if (systemCode(error) !== 'ERR_SQLITE_ERROR') throw error;
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, {force: true});
      return ChunkTable.#openFile(file, vaultId);
    }
  }

  static #openFile(file: string, vaultId: string): ChunkTable {
    const db = new DatabaseSync(file, {timeout: busyTimeoutMs});
    try {
      // With WAL, NORMAL is safe against a power cut: what is lost is read from the store again.
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE');
      const version = db.prepare('PRAGMA user_version').get() as {user_version: number};
      const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as {n: number};
      if (tables.n === 0) {
        db.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`);
        db.prepare('INSERT INTO vault VALUES (?)').run(vaultId);
      }
      const owner = db.prepare('SELECT id FROM vault').get() as {id: string} | undefined;
      if (tables.n > 0 && (version.user_version !== schemaVersion || owner?.id !== vaultId)) {
        throw Object.assign(new Error('the cache belongs to another vault'), {code: 'ERR_SQLITE_ERROR'});
      }
      db.exec('COMMIT');
      return new ChunkTable(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  indexes(): Set<IndexId> {
    return new Set(
      this.#prepare('SELECT lower(hex(id)) AS id FROM indexes')
        .all()
        .map((row) => row.id as IndexId),
    );
  }

  /** What one index lists. The index counts as known only when all of it is in. */
  async add(index: IndexId, packs: Iterable<PackListing>): Promise<void> {
    const indexBytes = Buffer.from(index, 'hex');
    let rows = 0;
    let open = false;
    try {
      for (const pack of packs) {
        if (!open) this.#db.exec('BEGIN IMMEDIATE');
        open = true;
        this.#addPack(indexBytes, pack);
        rows += pack.entries.length + 1;
        if (rows < rowsAtOnce) continue;
        this.#db.exec('COMMIT');
        open = false;
        rows = 0;
        await breathe();
      }
      if (!open) this.#db.exec('BEGIN IMMEDIATE');
      open = true;
      this.#prepare('INSERT OR IGNORE INTO indexes VALUES (?)').run(indexBytes);
      this.#db.exec('COMMIT');
      open = false;
    } finally {
      if (open) this.#db.exec('ROLLBACK');
    }
  }

  #addPack(index: Buffer, pack: PackListing): void {
    const id = toBytes(pack.id);
    this.#prepare('INSERT OR IGNORE INTO packs (id, length) VALUES (?, ?)').run(id, pack.lengthBytes);
    const {number} = this.#prepare('SELECT number FROM packs WHERE id = ?').get(id) as {number: number};
    this.#prepare('INSERT OR IGNORE INTO listings VALUES (?, ?)').run(index, number);
    const insert = this.#prepare('INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)');
    for (const entry of pack.entries) {
      const base = entry.base === undefined ? null : toBytes(entry.base);
      insert.run(toBytes(entry.id), number, entry.offset, entry.storedBytes, entry.plainBytes, entry.encoding, base);
    }
  }

  /** Forgets an index, and the packs that no other index lists. */
  drop(index: IndexId): void {
    const id = Buffer.from(index, 'hex');
    this.#transaction(() => {
      this.#prepare('DELETE FROM indexes WHERE id = ?').run(id);
      const packs = this.#prepare('SELECT pack FROM listings WHERE index_id = ?').all(id) as {pack: number}[];
      this.#prepare('DELETE FROM listings WHERE index_id = ?').run(id);
      for (const {pack} of packs) {
        if (this.#prepare('SELECT 1 FROM listings WHERE pack = ?').get(pack) !== undefined) continue;
        this.#prepare('DELETE FROM chunks WHERE pack = ?').run(pack);
        this.#prepare('DELETE FROM packs WHERE number = ?').run(pack);
      }
    });
  }

  clear(): void {
    this.#transaction(() => {
      for (const table of ['indexes', 'listings', 'chunks', 'packs']) this.#db.exec(`DELETE FROM ${table}`);
    });
  }

  /** Every place of a chunk; self-contained forms first, because a base must be one. */
  locations(chunk: ChunkId): Location[] {
    const rows = this.#prepare(
      `SELECT p.id AS packId, c.offset, c.stored, c.plain, c.encoding, c.base
       FROM chunks c JOIN packs p ON p.number = c.pack WHERE c.id = ? ORDER BY c.base IS NOT NULL, c.pack`,
    ).all(toBytes(chunk));
    return rows.map((row) => ({...entryOfRow(chunk, row), pack: readId<PackId>(row.packId as Uint8Array)}));
  }

  packLength(pack: PackId): number | undefined {
    return this.#prepare('SELECT length FROM packs WHERE id = ?').get(toBytes(pack))?.length as number | undefined;
  }

  packs(): {id: PackId; lengthBytes: number}[] {
    const rows = this.#prepare('SELECT id, length FROM packs ORDER BY number').all();
    return rows.map((row) => ({id: readId<PackId>(row.id as Uint8Array), lengthBytes: row.length as number}));
  }

  packsOfIndex(index: IndexId): PackId[] {
    const rows = this.#prepare(
      'SELECT p.id FROM listings l JOIN packs p ON p.number = l.pack WHERE l.index_id = ? ORDER BY l.pack',
    ).all(Buffer.from(index, 'hex'));
    return rows.map((row) => readId<PackId>(row.id as Uint8Array));
  }

  indexesOfPack(pack: PackId): IndexId[] {
    const rows = this.#prepare(
      'SELECT lower(hex(l.index_id)) AS id FROM listings l JOIN packs p ON p.number = l.pack WHERE p.id = ?',
    ).all(toBytes(pack));
    return rows.map((row) => row.id as IndexId);
  }

  /** Stored bytes of all chunks of the pack; 0 when it is not known. */
  chunkBytes(pack: PackId): number {
    const row = this.#prepare(
      'SELECT coalesce(sum(c.stored), 0) AS n FROM packs p JOIN chunks c ON c.pack = p.number WHERE p.id = ?',
    ).get(toBytes(pack));
    return row!.n as number;
  }

  chunkCount(): number {
    return this.#prepare('SELECT count(*) AS n FROM chunks').get()!.n as number;
  }

  /** Entries of one pack in the order of their chunks. */
  entries(pack: PackId): Entry[] {
    const rows = this.#prepare(
      `SELECT c.id, c.offset, c.stored, c.plain, c.encoding, c.base
       FROM chunks c JOIN packs p ON p.number = c.pack WHERE p.id = ? ORDER BY c.offset`,
    ).all(toBytes(pack));
    return rows.map((row) => entryOfRow(readId<ChunkId>(row.id as Uint8Array), row));
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function entryOfRow(id: ChunkId, row: Record<string, unknown>): Entry {
  return {
    id,
    offset: row.offset as number,
    storedBytes: row.stored as number,
    plainBytes: row.plain as number,
    encoding: row.encoding as ChunkEncoding,
    ...(row.base === null ? {} : {base: readId<ChunkId>(row.base as Uint8Array)}),
  };
}
