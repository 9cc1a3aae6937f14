import {pageModule, startPageModule} from '../pages/page-module.ts';

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

/** The layout is a part of the module that reads pages. */
export function instantiate(memory: WebAssembly.Memory): LayoutModule {
  return startPageModule(pageModule(), memory) as unknown as LayoutModule;
}
