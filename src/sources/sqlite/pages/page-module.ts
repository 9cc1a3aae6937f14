import {wasm} from './wasm.js';

/** What assembly/pages.ts exports; addresses are bytes of the memory that it was given. */
export type PageModule = {
  setFile(usableBytes: number, mostPayloadBytes: bigint, scratch: number): void;
  beginRowids(output: number, after: bigint, isOpen: boolean, upTo: bigint): void;
  beginKeys(output: number, marks: number, mask: number, hashesHead: boolean): void;
  takeRowidLeaf(page: number, bounds: number, fromCell: number): number;
  takeKeyLeaf(page: number, fromCell: number): number;
  takeSeparator(page: number, cell: number): number;
  /** @param plan 0: no content */
  beginContent(plan: number, columns: number, withRowid: boolean): void;
  addContent(payload: number, rowid: bigint): void;
  /** Signed, as WebAssembly passes numbers of 64 bits. */
  readonly contentLow: {value: bigint};
  readonly contentHigh: {value: bigint};
  /** 0 or 1. */
  readonly hasOddKey: {value: number};
  readonly stoppedAt: {value: number};
  readonly fault: {value: number};
  readonly outputEnd: {value: number};
  readonly records: {value: number};
  readonly marksEnd: {value: number};
  readonly lastAt: {value: number};
  /** 0 or 1. */
  readonly lastQualifies: {value: number};
};

/** Writes the bytes of an overflow chain to `into`. What it throws passes through the call of the module. */
export type ReadOverflow = (firstPage: number, into: number, bytes: number) => void;

let compiled: WebAssembly.Module | undefined;

/** Compiled once; can be sent to threads. */
export function pageModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Buffer.from(wasm, 'base64'));
  return compiled;
}

/** @param readOverflow only the calls that read leaves need it */
export function startPageModule(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  readOverflow: ReadOverflow = () => {
    throw new Error('this instance reads no overflow pages');
  },
): PageModule {
  const env = {
    memory,
    // WebAssembly passes unsigned numbers as signed ones.
    readOverflow: (firstPage: number, into: number, bytes: number) =>
      readOverflow(firstPage >>> 0, into >>> 0, bytes >>> 0),
  };
  return new WebAssembly.Instance(module, {env}).exports as unknown as PageModule;
}
