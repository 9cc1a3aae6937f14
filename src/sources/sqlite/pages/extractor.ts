import type {ContentSum} from '../../content-sum.ts';
import {TakeRows} from '../../take-rows.ts';
import type {ContentPlan} from '../schema/content-plan.ts';
import {areas, marksOf, outputOf} from './extract-memory.ts';
import {faultText} from './faults.ts';
import {InnerPages} from './inner-pages.ts';
import {readLeaves} from './leaf-reader.ts';
import {OverflowChain} from './overflow-chain.ts';
import {PageFault} from './page-fault.ts';
import type {KeyRun, PageFiles, Position, RowidRun} from './page-files.ts';
import {type PageModule, startPageModule} from './page-module.ts';
import {PageReader} from './page-reader.ts';
import {VisitedPages} from './visited-pages.ts';

/** Outcomes of calls of the module (assembly/pages/outcome.ts). */
const outcome = {done: 0, full: 1, tooLarge: 2};

/** Where an extraction left its records and marks, in the memory of the thread. */
export type Extraction = {
  bytes: number;
  records: number;
  next: Position | undefined;
  marks: number;
  lastQualifies: boolean;
  lastAt: number;
  content: ContentSum | undefined;
  hasOddKey: boolean;
};

/** Extracts the records of runs into slots of its memory, one run at a time. */
export class Extractor {
  readonly #files: PageFiles;
  readonly #memory: WebAssembly.Memory;
  readonly #module: PageModule;
  readonly #reader: PageReader;
  readonly #inner: InnerPages;
  #bytes: Uint8Array;
  /** The page whose records are being taken. */
  #page = 0;

  constructor(files: PageFiles, {module, memory}: {module: WebAssembly.Module; memory: WebAssembly.Memory}) {
    this.#files = files;
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#reader = new PageReader(files);
    this.#inner = new InnerPages(this.#reader, {pageBytes: files.pageBytes, ...areas.inner});
    const chain = new OverflowChain(files, {
      reader: this.#reader,
      visited: new VisitedPages(files),
      room: this.#bytes.subarray(areas.overflow.at, areas.overflow.at + areas.overflow.bytes),
    });
    this.#module = startPageModule(module, memory, (first, at, length) =>
      chain.read(first, this.#page, {into: this.#bytes, at, length}),
    );
    const mostPayload = Math.min(0x7fffffff, files.pages * files.usableBytes);
    this.#module.setFile(files.usableBytes, BigInt(mostPayload), areas.scratch.at);
  }

  /**
   * @param slot no caller uses it any more
   * @throws PageFault | TakeRows
   */
  extract(run: RowidRun | KeyRun, slot: number): Extraction {
    // Memory that was grown for another slot is in another view.
    if (this.#bytes.length < outputOf(slot + 1)) this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#beginContent(run.content);
    const next = run.kind === 'rowid' ? this.#rowids(run, slot) : this.#keys(run, slot);
    const {outputEnd, records, marksEnd, lastQualifies, lastAt, contentLow, contentHigh, hasOddKey} = this.#module;
    return {
      bytes: (outputEnd.value >>> 0) - outputOf(slot),
      records: records.value,
      next,
      marks: run.kind === 'rowid' ? 0 : ((marksEnd.value >>> 0) - marksOf(slot)) / 4,
      lastQualifies: lastQualifies.value === 1,
      lastAt: lastAt.value,
      content: run.content && {low: BigInt.asUintN(64, contentLow.value), high: BigInt.asUintN(64, contentHigh.value)},
      hasOddKey: hasOddKey.value === 1,
    };
  }

  #beginContent(plan: ContentPlan | undefined): void {
    if (plan === undefined) {
      this.#module.beginContent(0, 0, false);
      return;
    }
    this.#bytes.set(plan.bytes, areas.content.at);
    this.#module.beginContent(areas.content.at, plan.columns, plan.withRowid);
  }

  #rowids({leaves, bounds, after, upTo, from}: RowidRun, slot: number): Position | undefined {
    this.#module.beginRowids(outputOf(slot), after ?? 0n, after === undefined, upTo);
    const boundsInMemory = new BigInt64Array(this.#memory.buffer, areas.bounds.at, areas.bounds.bytes / 8);
    return this.#takeLeaves(leaves, from, {
      read: (first, end) => boundsInMemory.set(bounds.subarray(first, end + 1)),
      take: (address, leaf, {first, fromCell}) =>
        this.#module.takeRowidLeaf(address, areas.bounds.at + 8 * (leaf - first), fromCell),
    });
  }

  #keys({leaves, separatorPages, separatorCells, hashed, mask, from}: KeyRun, slot: number): Position | undefined {
    this.#module.beginKeys(outputOf(slot), marksOf(slot), mask, hashed === 'head');
    return this.#takeLeaves(leaves, from, {
      read: () => {},
      take: (address, leaf, {fromCell}) => {
        const end = this.#module.takeKeyLeaf(address, fromCell);
        const separator = separatorPages[leaf]!;
        if (end !== outcome.done || separator === 0) return end;
        this.#page = separator;
        return this.#module.takeSeparator(this.#inner.address(separator, this.#bytes), separatorCells[leaf]!);
      },
    });
  }

  /** Reads all leaves from a position on, and takes their records until the output is full. */
  #takeLeaves(leaves: Uint32Array, from: Position | undefined, {read, take}: LeafSteps): Position | undefined {
    const {pageBytes} = this.#files;
    const into = {reader: this.#reader, pageBytes, into: this.#bytes, ...areas.leaves};
    for (let first = from?.leaf ?? 0; first < leaves.length; ) {
      const end = readLeaves(leaves, first, into);
      read(first, end);
      for (let leaf = first; leaf < end; leaf++) {
        this.#page = leaves[leaf]!;
        const fromCell = leaf === from?.leaf ? from.cell : 0;
        const ended = take(areas.leaves.at + (leaf - first) * pageBytes, leaf, {first, fromCell});
        if (ended === outcome.full) return {leaf, cell: this.#module.stoppedAt.value};
        if (ended !== outcome.done) throw this.#failure(ended);
      }
      first = end;
    }
    return undefined;
  }

  #failure(ended: number): Error {
    if (ended === outcome.tooLarge) return new TakeRows('a record is larger than 8 MiB');
    return new PageFault(this.#page, faultText(this.#module.fault.value));
  }
}

type LeafSteps = {
  /** Leaves from `first` to `end` were read. */
  read: (first: number, end: number) => void;
  /** @returns the outcome */
  take: (address: number, leaf: number, options: {first: number; fromCell: number}) => number;
};
