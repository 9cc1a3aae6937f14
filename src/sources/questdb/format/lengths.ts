import {readSync} from 'node:fs';
import type {ColumnShape} from './meta.ts';

/** A file is looked at from its end in steps that grow: most have no zeros there, some have 16 MiB of them. */
const firstLookBytes = 4096;
const largestLookBytes = 1024 * 1024;

/**
 * Bytes of a file without the zeros at its end. QuestDB preallocates what it maps (16 MiB for a column, 1 MiB in the WAL).
 */
export function bytesBeforeZeros(file: number, sizeBytes: number): number {
  let look = firstLookBytes;
  for (let end = sizeBytes; end > 0; look = Math.min(look * 8, largestLookBytes)) {
    const start = Math.max(0, end - look);
    const buffer = Buffer.allocUnsafe(end - start);
    const bytesRead = readSync(file, buffer, 0, buffer.length, start);
    for (let at = bytesRead - 1; at >= 0; at--) if (buffer[at] !== 0) return start + at + 1;
    end = start;
  }
  return 0;
}

/** Bytes of the places (`.i`) of so many values. */
export function placesBytes(kind: 'string' | 'varchar' | 'array', rows: number): number {
  return kind === 'string' ? (rows + 1) * 8 : rows * 16;
}

const offsetMask = (1n << 48n) - 1n;

/**
 * Bytes of data (`.d`) that so many rows have: where the last one's ends.
 * - STRING, BINARY: int64 offsets, the last of them is the end.
 * - VARCHAR: 16 bytes: int32 length << 4 with flags (1: it lies in these bytes itself, 4: NULL), 6 bytes of its start, 48 bits
 *   offset, which for a value without data of its own is where the next one's begins.
 * - ARRAY: 48 bits offset, int32 at 8 length.
 * Source: measured on QuestDB 9.3.4, where it is the very length of each file that the server has cut.
 * @returns undefined when the file of places ends before that row
 */
export function dataBytes(places: number, kind: 'string' | 'varchar' | 'array', rows: number): number | undefined {
  if (rows === 0) return 0;
  const entry = kind === 'string' ? 8 : 16;
  const buffer = Buffer.alloc(entry);
  const bytesRead = readSync(places, buffer, 0, entry, placesBytes(kind, rows) - entry);
  if (bytesRead < entry) return undefined;
  if (kind === 'string') return Number(buffer.readBigInt64LE(0));
  if (kind === 'array') return Number(buffer.readBigInt64LE(0) & offsetMask) + buffer.readInt32LE(8);
  const header = buffer.readInt32LE(0);
  const offset = Number(buffer.readBigUInt64LE(8) >> 16n);
  return (header & 5) === 0 ? offset + (header >>> 4) : offset;
}

/** Endings of the files that a column of that shape has. */
export function columnFiles({kind}: ColumnShape): readonly ('d' | 'i')[] {
  return kind === 'fixed' ? ['d'] : ['d', 'i'];
}
