import type {ContentSum} from '../../content-sum.ts';
import {moduleOf} from './areas.ts';
import {firstAddress, growTo, type Instance, instantiate, spareBytes} from './module.ts';

/** Rows that are elsewhere are hashed in parts of this size, unless a row is larger. */
const partBytes = 8 * 1024 * 1024;
const lineEnd = 0x0a;

/** For rows that are not in an area. */
let other: Instance | undefined;

/** How many rows these are, and the sums of their hashes. @param rows complete lines as COPY writes them */
export function sumLines(rows: Uint8Array): {rows: number; sum: ContentSum} {
  const inPlace = moduleOf(rows);
  if (inPlace !== undefined) {
    const {lines} = inPlace;
    lines.clear();
    const count = lines.addLines(rows.byteOffset, rows.byteOffset + rows.length);
    return {rows: count, sum: sumIn(lines)};
  }
  other ??= instantiate();
  const {memory, lines} = other;
  lines.clear();
  let count = 0;
  for (let at = 0; at < rows.length; ) {
    const end = partEnd(rows, at);
    const part = rows.subarray(at, end);
    growTo(memory, firstAddress + part.length + spareBytes);
    new Uint8Array(memory.buffer, firstAddress, part.length).set(part);
    count += lines.addLines(firstAddress, firstAddress + part.length);
    at = end;
  }
  return {rows: count, sum: sumIn(lines)};
}

const sumIn = ({low, high}: Instance['lines']): ContentSum => ({
  low: BigInt.asUintN(64, low.value),
  high: BigInt.asUintN(64, high.value),
});

/** Behind the last line that ends within the size of a part, or behind the first line. */
function partEnd(rows: Uint8Array, start: number): number {
  if (rows.length - start <= partBytes) return rows.length;
  const last = rows.lastIndexOf(lineEnd, start + partBytes - 1);
  return (last >= start ? last : rows.indexOf(lineEnd, start + partBytes)) + 1;
}
