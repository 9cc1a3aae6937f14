import {statSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import type {TableContent} from '../../../src/sources/source.ts';
import {findTable} from '../../../src/sources/sqlite/catalog/catalog.ts';
import {withConnection} from '../../../src/sources/sqlite/engine/connection.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {storedColumns} from '../../../src/sources/sqlite/schema/content-plan.ts';
import {quoted} from './wild-database.ts';

export type Contents = Readonly<Record<string, TableContent | undefined>>;

/** What the tables contain, as a snapshot of the source reads it from their pages. */
export async function contentsOf(path: string, tables: readonly string[]): Promise<Contents> {
  const snapshot = await new SqliteSource(path).snapshot({tables});
  try {
    const contents: Record<string, TableContent | undefined> = {};
    for (const table of tables) {
      const found = await snapshot.content(table, {mostBytes: Number.POSITIVE_INFINITY});
      contents[table] = found?.content;
    }
    return contents;
  } finally {
    await snapshot.close();
  }
}

/** JavaScript takes a second for a few MiB. */
export const isQuickBySql = (path: string) => statSync(path).size < 1024 * 1024;

/** The same from what SQL reads, by docs/format.md alone: shares no code with bkp but the order of the columns. */
export function contentsBySql(path: string, tables: readonly string[]): Contents {
  const contents: Record<string, TableContent> = {};
  const db = new DatabaseSync(path, {readOnly: true});
  for (const table of tables) {
    const {columns, rowid} = shapeOf(path, table);
    const values = [...rowid, ...columns.map(quoted)].flatMap((name) => [
      `typeof(${name})`,
      `iif(typeof(${name}) = 'text', CAST(${name} AS BLOB), ${name})`,
    ]);
    const read = db.prepare(`SELECT ${values.join(', ')} FROM main.${quoted(table)} NOT INDEXED`);
    read.setReadBigInts(true);
    read.setReturnArrays(true);
    let [rows, low, high] = [0, 0n, 0n];
    for (const row of read.iterate() as unknown as Iterable<unknown[]>) {
      const hash = rowHash(row, rowid.length > 0);
      [rows, low, high] = [rows + 1, u64(low + hash.low), u64(high + hash.high)];
    }
    contents[table] = {rows, hash: high.toString(16).padStart(16, '0') + low.toString(16).padStart(16, '0')};
  }
  db.close();
  return contents;
}

function shapeOf(path: string, name: string): {columns: readonly string[]; rowid: readonly string[]} {
  return withConnection(path, {}, (connection) => {
    const found = findTable(connection, name);
    if (found.kind !== 'table') throw new Error(`${name} is no table`);
    const {key} = found.table;
    return {
      columns: storedColumns(connection, found.table).map((column) => column.name),
      rowid: key.kind === 'rowid' && key.column === undefined ? [key.alias] : [],
    };
  });
}

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const tags: Record<string, bigint> = {
  null: 0x9ae16a3b2f90404fn,
  integer: 0xc3a5c85c97cb3127n,
  real: 0xb492b66fbe98f273n,
  text: 0x8cb92ba72f3d8dd7n,
  blob: 0xe7037ed1a0b428dbn,
};

/** @param row type and value of each column in turn */
function rowHash(row: readonly unknown[], withRowid: boolean): {low: bigint; high: bigint} {
  let low = 0x2d358dccaa6c78a5n;
  let high = 0x8bb84b93962eacc9n;
  const mixed = (half: bigint, word: bigint) => {
    const product = u64((half ^ word) * 0x9e3779b97f4a7c15n);
    return product ^ (product >> 32n);
  };
  const mix = (one: bigint, other: bigint) => {
    low = mixed(low, one);
    const turned = u64((high << 27n) | (high >> 37n));
    high = u64(u64(turned + other) * 0xd6e8feb86659fd93n);
    high ^= high >> 29n;
  };
  for (let at = 0; at < row.length; at += 2) {
    const [type, value] = [String(row[at]), row[at + 1]];
    const bytes = Buffer.alloc(8);
    if (typeof value === 'number') bytes.writeDoubleLE(value);
    else if (typeof value === 'bigint') bytes.writeBigInt64LE(value);
    const isLong = value instanceof Uint8Array;
    const first = u64((isLong ? BigInt(value.length) : bytes.readBigUInt64LE()) + tags[type]!);
    if (withRowid && at === 0) {
      high = mixed(high, first);
      continue;
    }
    [low, high] = [high, mixed(low, first)];
    if (!isLong) continue;
    for (let byte = 0; byte < value.length; byte += 16) {
      const words = Buffer.alloc(16);
      words.set(value.subarray(byte, byte + 16));
      mix(words.readBigUInt64LE(), words.readBigUInt64LE(8));
    }
  }
  const turned = u64((high << 32n) | (high >> 32n));
  return {low: finished(low ^ turned), high: finished(u64(high + low))};
}

function finished(value: bigint): bigint {
  let hash = u64((value ^ (value >> 33n)) * 0xff51afd7ed558ccdn);
  hash = u64((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return hash ^ (hash >> 33n);
}
