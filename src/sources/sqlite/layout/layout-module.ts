import {wasm} from '../pages/wasm.js';

/** What assembly/pages/lay-out.ts exports. */
export type LayoutModule = {
  setUpLayout(pageBytes: number, usableBytes: number, out: number, outEnd: number, links: number): void;
  layOut(at: number, end: number, isTable: boolean, isLast: boolean, marks: number): number;
  readonly checkedRecords: {readonly value: number};
  readonly firstRowid: {readonly value: bigint};
  readonly lastRowid: {readonly value: bigint};
  readonly pageCount: {readonly value: number};
  readonly leafCount: {readonly value: number};
  readonly linkCount: {readonly value: number};
};

export function instantiate(memory: WebAssembly.Memory): LayoutModule {
  const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
  const env: Record<string, WebAssembly.ImportValue> = {memory};
  // Other parts of the module may call back; the layout does not.
  for (const {name, kind} of WebAssembly.Module.imports(module)) {
    if (kind === 'function') env[name] = unexpectedCall;
  }
  return new WebAssembly.Instance(module, {env}).exports as LayoutModule;
}

function unexpectedCall(): never {
  throw new Error('the layout of pages calls no function');
}
