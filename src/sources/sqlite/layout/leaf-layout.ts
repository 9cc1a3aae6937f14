import type {LaidOut, LayoutJob, LayoutResult, LayoutThreadData} from './layout-job.ts';
import {markBytes} from './layout-memory.ts';
import {instantiate, type LayoutModule} from './layout-module.ts';
import {PageGaps} from './page-gaps.ts';
import {PageNumbers, type TakenPages} from './page-numbers.ts';
import {pointerTypes} from './pointer-types.ts';
import {writeAt} from './write-at.ts';

/** By what `checkRecords` in assembly/pages/check-records.ts returns. */
const faults: Readonly<Record<number, string>> = {
  1: 'a record continues beyond the end of its chunk',
  2: 'a record is not as long as its header says',
  3: 'rowids are not in order',
  4: 'the length of a record has more bytes than it needs',
};

/** Turns records into leaves and overflow pages, and writes them; on one thread at a time. */
export class LeafLayout {
  readonly #data: LayoutThreadData;
  readonly #numbers: PageNumbers;
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #module: LayoutModule;
  /** Where the module leaves pages, and pointers to overflow pages. */
  readonly #out: number;
  readonly #links: number;

  /** @param area of `data.areas`; nothing else uses it meanwhile */
  constructor(data: LayoutThreadData, area: number) {
    const {pageSize, usableBytes, hasMaps, counter, memory} = data;
    const {out, outEnd, links} = data.areas[area]!;
    this.#data = data;
    this.#out = out;
    this.#links = links;
    this.#numbers = new PageNumbers(counter, new PageGaps({pageSize, usableBytes, hasMaps}));
    this.#bytes = Buffer.from(memory.buffer as unknown as SharedArrayBuffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#module = instantiate(memory);
    this.#module.setUpLayout(pageSize, usableBytes, out, outEnd, links);
  }

  /** @throws Error of the file system */
  layOut({isTable, at, bytes: length, marks, isLast, root}: LayoutJob): LayoutResult {
    const {file, pageSize} = this.#data;
    const out = this.#out;
    const fault = this.#module.layOut(at, at + length, isTable, isLast, marks);
    if (fault !== 0) return {notRecords: faults[fault]!};
    const leaves = this.#module.leafCount.value;
    const isRoot = root !== undefined && leaves === 1;
    // The only leaf is the first page.
    const beforeTaken = isRoot ? 1 : 0;
    const taken = this.#numbers.take(this.#module.pageCount.value - beforeTaken);
    const numberOf = (position: number) => (position < beforeTaken ? root! : taken.at(position - beforeTaken));
    const overflow = this.#resolveLinks(numberOf);
    this.#resolveMarks(marks, leaves, numberOf);
    if (isRoot) writeAt(file, this.#bytes.subarray(out, out + pageSize), (root - 1) * pageSize);
    this.#writeRuns(taken, out + beforeTaken * pageSize);
    const rowids = isTable
      ? {firstRowid: this.#module.firstRowid.value, lastRowid: this.#module.lastRowid.value}
      : {firstRowid: 0n, lastRowid: 0n};
    return {records: this.#module.checkedRecords.value, leaves, isRoot, ...rowids, overflow} satisfies LaidOut;
  }

  /** Replaces positions by page numbers where pages point to overflow pages. */
  #resolveLinks(numberOf: (position: number) => number): Uint32Array | undefined {
    const {pageSize, hasMaps} = this.#data;
    const [out, links] = [this.#out, this.#links];
    const count = this.#module.linkCount.value;
    const entries = hasMaps ? new Uint32Array(3 * count) : undefined;
    for (let i = 0; i < count; i++) {
      const pointer = this.#words[links / 4 + i]!;
      const number = numberOf(this.#bytes.readUInt32BE(out + pointer));
      this.#bytes.writeUInt32BE(number, out + pointer);
      // An overflow page begins with the number of the next one.
      const type = pointer % pageSize === 0 ? pointerTypes.nextOverflow : pointerTypes.firstOverflow;
      entries?.set([number, type, numberOf(Math.floor(pointer / pageSize))], 3 * i);
    }
    return entries;
  }

  #resolveMarks(marks: number, leaves: number, numberOf: (position: number) => number): void {
    for (let leaf = 0; leaf < leaves; leaf++) {
      const mark = (marks + leaf * markBytes) / 4;
      this.#words[mark] = numberOf(this.#words[mark]!);
      const overflow = this.#words[mark + 3]!;
      if (overflow > 0) this.#words[mark + 3] = numberOf(overflow - 1);
    }
  }

  #writeRuns(taken: TakenPages, from: number): void {
    const {file, pageSize} = this.#data;
    let at = from;
    for (const {first, count} of taken.runs) {
      writeAt(file, this.#bytes.subarray(at, at + count * pageSize), (first - 1) * pageSize);
      at += count * pageSize;
    }
  }
}
