import {DatabaseSync} from 'node:sqlite';
import {defaultExpression} from './sql-text.ts';

export type StoredValue = {kind: 'null' | 'integer' | 'real' | 'text' | 'blob'; bytes: Uint8Array};

export type AddedColumn = {
  affinity: string;
  /** Its DEFAULT as pragma_table_xinfo reports it; null without one. */
  written: string | null;
};

/**
 * The values that rows older than an added column have in it, which their records lack. SQLite itself is asked, in
 * memory. A column with a default that no ALTER TABLE accepts was never added to a row; its value is NULL.
 * @param encoding of the database: `UTF-8`, `UTF-16le` or `UTF-16be`
 * @returns numbers as eight bytes, the most significant one first
 */
export function addedValues(encoding: string, columns: readonly AddedColumn[]): readonly StoredValue[] {
  if (columns.every(({written}) => written === null)) return columns.map(() => nothing);
  const db = new DatabaseSync(':memory:', {enableDoubleQuotedStringLiterals: true});
  try {
    db.exec(`PRAGMA encoding = '${encoding}'`);
    return columns.map((column) => addedValue(db, column));
  } finally {
    db.close();
  }
}

const nothing: StoredValue = {kind: 'null', bytes: new Uint8Array()};

function addedValue(db: DatabaseSync, {affinity, written}: AddedColumn): StoredValue {
  if (written === null) return nothing;
  db.exec('DROP TABLE IF EXISTS t; CREATE TABLE t (a); INSERT INTO t VALUES (NULL)');
  try {
    db.exec(`ALTER TABLE t ADD COLUMN b ${affinity} DEFAULT (${defaultExpression(written)}\n)`);
  } catch {
    return nothing;
  }
  const read = db.prepare("SELECT typeof(b) AS kind, iif(typeof(b) = 'text', CAST(b AS BLOB), b) AS value FROM t");
  read.setReadBigInts(true);
  const {kind, value} = read.get() as {kind: StoredValue['kind']; value: unknown};
  return {kind, bytes: bytesOf(value)};
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const bytes = Buffer.alloc(8);
  if (typeof value === 'bigint') bytes.writeBigInt64BE(value);
  else if (typeof value === 'number') bytes.writeDoubleBE(value);
  else return new Uint8Array();
  return bytes;
}
