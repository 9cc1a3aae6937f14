import type {SQLOutputValue} from 'node:sqlite';
import {type Entry, isEncoding} from '../format/entry.ts';
import {idBytes, readId} from '../format/hash.ts';
import type {IndexId} from '../format/key.ts';
import type {ChunkId, PackId} from '../types.ts';
import type {Row} from './cache-file.ts';

// Values of rows, checked: a damaged file may hold anything. Errors are the file's, and make CacheFile abandon it.

export function idIn<Id extends ChunkId | PackId | IndexId>(value: SQLOutputValue | undefined): Id {
  if (!(value instanceof Uint8Array && value.length === idBytes))
    throw new Error('the cache holds a value that is not an id');
  return readId(value) as Id;
}

export function countIn(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new Error('the cache holds a value that is not a number of bytes');
  }
  return value;
}

export function entryIn(row: Row): Entry {
  const encoding = countIn(row.encoding);
  if (!isEncoding(encoding)) throw new Error('the cache holds an unknown encoding');
  return {
    id: idIn<ChunkId>(row.id),
    offset: countIn(row.offset),
    storedBytes: countIn(row.stored),
    plainBytes: countIn(row.plain),
    encoding,
    base: row.base === null ? undefined : idIn<ChunkId>(row.base),
  };
}
