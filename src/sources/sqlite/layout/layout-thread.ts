// A thread of PageLayout: turns records into pages and writes them.
import {parentPort, workerData} from 'node:worker_threads';
import type {LaidOut, LayoutJob, LayoutResult, LayoutThreadData} from './layout-job.ts';
import {markBytes} from './layout-memory.ts';
import {instantiate} from './layout-module.ts';
import {PageGaps} from './page-gaps.ts';
import {PageNumbers, type TakenPages} from './page-numbers.ts';
import {pointerTypes} from './pointer-types.ts';
import {writeAt} from './write-at.ts';

const port = parentPort!;
const {file, pageSize, usableBytes, hasMaps, counter, memory, areas, areasTaken} = workerData as LayoutThreadData;
const {out, outEnd, links} = areas[Atomics.add(new Int32Array(areasTaken), 0, 1)]!;
const numbers = new PageNumbers(counter, new PageGaps({pageSize, usableBytes, hasMaps}));
const bytes = Buffer.from(memory.buffer as unknown as SharedArrayBuffer);
const words = new Uint32Array(memory.buffer);
const module = instantiate(memory);
module.setUpLayout(pageSize, usableBytes, out, outEnd, links);

/** By what `checkRecords` in assembly/pages/check-records.ts returns. */
const faults: Readonly<Record<number, string>> = {
  1: 'a record continues beyond the end of its chunk',
  2: 'a record is not as long as its header says',
  3: 'rowids are not in order',
  4: 'the length of a record has more bytes than it needs',
};

port.on('message', (job: LayoutJob) => {
  let result: LayoutResult;
  try {
    result = layOut(job);
  } catch (error) {
    const {message, stack, code, errno, syscall} = error as NodeJS.ErrnoException;
    result = {failed: {message, stack, code, errno, syscall}};
  }
  port.postMessage(result);
});

function layOut({isTable, at, bytes: length, marks, isLast, root}: LayoutJob): LayoutResult {
  const fault = module.layOut(at, at + length, isTable, isLast, marks);
  if (fault !== 0) return {notRecords: faults[fault]!};
  const leaves = module.leafCount.value;
  const isRoot = root !== undefined && leaves === 1;
  // The only leaf is the first page.
  const beforeTaken = isRoot ? 1 : 0;
  const taken = numbers.take(module.pageCount.value - beforeTaken);
  const numberOf = (position: number) => (position < beforeTaken ? root! : taken.at(position - beforeTaken));
  const overflow = resolveLinks(numberOf);
  resolveMarks(marks, leaves, numberOf);
  if (isRoot) writeAt(file, bytes.subarray(out, out + pageSize), (root - 1) * pageSize);
  writeRuns(taken, out + beforeTaken * pageSize);
  const rowids = isTable
    ? {firstRowid: module.firstRowid.value, lastRowid: module.lastRowid.value}
    : {firstRowid: 0n, lastRowid: 0n};
  return {records: module.checkedRecords.value, leaves, isRoot, ...rowids, overflow} satisfies LaidOut;
}

/** Replaces positions by page numbers where pages point to overflow pages. */
function resolveLinks(numberOf: (position: number) => number): Uint32Array | undefined {
  const count = module.linkCount.value;
  const entries = hasMaps ? new Uint32Array(3 * count) : undefined;
  for (let i = 0; i < count; i++) {
    const pointer = words[links / 4 + i]!;
    const number = numberOf(bytes.readUInt32BE(out + pointer));
    bytes.writeUInt32BE(number, out + pointer);
    // An overflow page begins with the number of the next one.
    const type = pointer % pageSize === 0 ? pointerTypes.nextOverflow : pointerTypes.firstOverflow;
    entries?.set([number, type, numberOf(Math.floor(pointer / pageSize))], 3 * i);
  }
  return entries;
}

function resolveMarks(marks: number, leaves: number, numberOf: (position: number) => number): void {
  for (let leaf = 0; leaf < leaves; leaf++) {
    const mark = (marks + leaf * markBytes) / 4;
    words[mark] = numberOf(words[mark]!);
    const overflow = words[mark + 3]!;
    if (overflow > 0) words[mark + 3] = numberOf(overflow - 1);
  }
}

function writeRuns(taken: TakenPages, from: number): void {
  let at = from;
  for (const {first, count} of taken.runs) {
    writeAt(file, bytes.subarray(at, at + count * pageSize), (first - 1) * pageSize);
    at += count * pageSize;
  }
}
