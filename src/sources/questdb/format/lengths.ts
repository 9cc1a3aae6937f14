import {readSync} from 'node:fs';
import type {ColumnShape} from './meta.ts';

/** A file is read from its end in growing steps: most files have no zeros there, some have 16 MiB of them. */
const firstReadBytes = 4096;
const largestReadBytes = 1024 * 1024;

/**
 * Length of a file without the zeros at its end. QuestDB preallocates what it maps (16 MiB for a column, 1 MiB in the
 * WAL).
 */
export function bytesBeforeZeros(file: number, sizeBytes: number): number {
  let step = firstReadBytes;
  for (let end = sizeBytes; end > 0; step = Math.min(step * 8, largestReadBytes)) {
    const start = Math.max(0, end - step);
    const buffer = Buffer.allocUnsafe(end - start);
    const bytesRead = readSync(file, buffer, 0, buffer.length, start);
    for (let at = bytesRead - 1; at >= 0; at--) if (buffer[at] !== 0) return start + at + 1;
    end = start;
  }
  return 0;
}

/** Length of the file of positions (`.i`) for this many values. */
export function positionsBytes(kind: 'string' | 'varchar' | 'array', rows: number): number {
  return kind === 'string' ? (rows + 1) * 8 : rows * 16;
}

const offsetMask = (1n << 48n) - 1n;

/**
 * Length of the data (`.d`) of this many rows: the end of the last row's value.
 * - STRING, BINARY: int64 offsets; the last one is the end.
 * - VARCHAR: 16 bytes: int32 length << 4 with flags (1: the value is in these bytes, 4: NULL), the first 6 bytes of
 *   the value, 48 bits offset, which for a value without data in `.d` is the start of the next value.
 * - ARRAY: 48 bits offset, int32 length at 8. Source: measured on QuestDB 9.3.4, where it equals the length of every
 *   file that the server has truncated.
 * @param positions the open `.i` file
 * @returns undefined when the file of positions ends before the last row
 */
export function dataBytes(positions: number, kind: 'string' | 'varchar' | 'array', rows: number): number | undefined {
  if (rows === 0) return 0;
  const entry = kind === 'string' ? 8 : 16;
  const buffer = Buffer.alloc(entry);
  const bytesRead = readSync(positions, buffer, 0, entry, positionsBytes(kind, rows) - entry);
  if (bytesRead < entry) return undefined;
  if (kind === 'string') return Number(buffer.readBigInt64LE(0));
  if (kind === 'array') return Number(buffer.readBigInt64LE(0) & offsetMask) + buffer.readInt32LE(8);
  const header = buffer.readInt32LE(0);
  const offset = Number(buffer.readBigUInt64LE(8) >> 16n);
  return (header & 5) === 0 ? offset + (header >>> 4) : offset;
}

/** Extensions of the files of a column with this shape. */
export function columnFiles({kind}: ColumnShape): readonly ('d' | 'i')[] {
  return kind === 'fixed' ? ['d'] : ['d', 'i'];
}
