import {wasm} from './wasm.js';

type Lines = {
  addLines(start: number, end: number): number;
  clear(): void;
  /** Signed, as WebAssembly passes numbers of 64 bits. */
  readonly low: {value: bigint};
  readonly high: {value: bigint};
  unwrap(start: number, end: number): number;
  readonly rowsEnd: {value: number};
  readonly rest: {value: number};
  readonly isOver: {value: number};
};

export type Instance = {memory: WebAssembly.Memory; lines: Lines};

/** Static data of the module is in front of it. */
export const firstAddress = 64 * 1024;
/** The module may read as far beyond the lines. */
export const spareBytes = 16;

const pageBytes = 64 * 1024;
const mostPages = 32 * 1024;

/** The module of assembly/lines.ts, with memory of its own. */
export function instantiate(): Instance {
  const memory = new WebAssembly.Memory({initial: 4, maximum: mostPages, shared: true});
  const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
  return {memory, lines: new WebAssembly.Instance(module, {env: {memory}}).exports as unknown as Lines};
}

/** Lets the memory reach up to an address. */
export function growTo(memory: WebAssembly.Memory, end: number): void {
  const missingBytes = end - memory.buffer.byteLength;
  if (missingBytes > 0) memory.grow(Math.ceil(missingBytes / pageBytes));
}
