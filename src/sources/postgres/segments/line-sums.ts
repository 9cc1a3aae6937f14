import type {ContentSum} from '../../content-sum.ts';
import {wasm} from './wasm.js';

type Lines = {
  addLines(start: number, end: number): number;
  clear(): void;
  /** Signed, as WebAssembly passes numbers of 64 bits. */
  readonly low: {value: bigint};
  readonly high: {value: bigint};
};

/** Static data of the module is in front of it. */
const firstAddress = 64 * 1024;
const pageBytes = 64 * 1024;
const mostPages = 32 * 1024;
/** The module may read as far beyond the lines. */
const spareBytes = 16;
/** Larger segments are hashed in parts, unless a row is larger. */
const partBytes = 8 * 1024 * 1024;
const lineEnd = 0x0a;

let started: {memory: WebAssembly.Memory; lines: Lines} | undefined;

/** How many rows these are, and the sums of their hashes. @param rows complete lines as COPY writes them */
export function sumLines(rows: Uint8Array): {rows: number; sum: ContentSum} {
  const {memory, lines} = start();
  lines.clear();
  let count = 0;
  for (let at = 0; at < rows.length; ) {
    const end = partEnd(rows, at);
    const part = rows.subarray(at, end);
    const missingBytes = firstAddress + part.length + spareBytes - memory.buffer.byteLength;
    if (missingBytes > 0) memory.grow(Math.ceil(missingBytes / pageBytes));
    new Uint8Array(memory.buffer, firstAddress, part.length).set(part);
    count += lines.addLines(firstAddress, firstAddress + part.length);
    at = end;
  }
  const {low, high} = lines;
  return {rows: count, sum: {low: BigInt.asUintN(64, low.value), high: BigInt.asUintN(64, high.value)}};
}

/** Behind the last line that ends within the size of a part, or behind the first line. */
function partEnd(rows: Uint8Array, start: number): number {
  if (rows.length - start <= partBytes) return rows.length;
  const last = rows.lastIndexOf(lineEnd, start + partBytes - 1);
  return (last >= start ? last : rows.indexOf(lineEnd, start + partBytes)) + 1;
}

function start() {
  if (started === undefined) {
    const memory = new WebAssembly.Memory({initial: 4, maximum: mostPages, shared: true});
    const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    started = {memory, lines: new WebAssembly.Instance(module, {env: {memory}}).exports as unknown as Lines};
  }
  return started;
}
