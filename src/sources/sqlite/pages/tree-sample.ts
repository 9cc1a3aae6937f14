import {varintAt, varintEnd} from './big-endian.ts';
import {InnerPage} from './inner-page.ts';
import type {PageFiles} from './page-files.ts';
import {PageReader} from './page-reader.ts';
import {leafType} from './page-types.ts';

/** About how much a tree holds, from one path through its middle. */
export type TreeSample = {records: number; bytes: number};

const mostLevels = 40;

/** Reads a page a level. @throws PageFault */
export function sampleTree(files: PageFiles, {root, kind}: {root: number; kind: 'rowid' | 'key'}): TreeSample {
  const reader = new PageReader(files);
  const bytes = Buffer.alloc(files.pageBytes);
  let leaves = 1;
  for (let [page, level] = [root, 0]; level < mostLevels; level++) {
    reader.read(page, bytes);
    if (bytes[0] === leafType[kind]) {
      const leaf = leafSample(bytes, kind);
      return {records: leaves * leaf.records, bytes: leaves * leaf.bytes};
    }
    const inner = new InnerPage(page, bytes, {kind, usableBytes: files.usableBytes});
    leaves *= inner.cells + 1;
    page = inner.child(inner.cells >> 1);
  }
  return {records: 0, bytes: 0};
}

/** Leaves that are read to learn how large the records of a tree are. */
const sampledLeaves = 8;

/** The records of some leaves, evenly spread. Pages that are no leaves are left out: reading the tree reports them. */
export function sampleLeaves(files: PageFiles, {kind, pages}: {kind: 'rowid' | 'key'; pages: Uint32Array}): TreeSample {
  const reader = new PageReader(files);
  const bytes = Buffer.alloc(files.pageBytes);
  const sample = {records: 0, bytes: 0};
  const count = Math.min(sampledLeaves, pages.length);
  for (let leaf = 0; leaf < count; leaf++) {
    reader.read(pages[Math.floor(((leaf + 0.5) * pages.length) / count)]!, bytes);
    if (bytes[0] !== leafType[kind]) continue;
    const one = leafSample(bytes, kind);
    sample.records += one.records;
    sample.bytes += one.bytes;
  }
  return sample;
}

function leafSample(bytes: Buffer, kind: 'rowid' | 'key'): TreeSample {
  const records = Math.min(bytes.readUInt16BE(3), Math.floor((bytes.length - 8) / 2));
  let sum = 0;
  for (let cell = 0; cell < records; cell++) {
    const at = bytes.readUInt16BE(8 + 2 * cell);
    const payload = varintAt(bytes, at);
    if (kind === 'rowid') varintAt(bytes, varintEnd);
    sum += varintEnd - at + payload;
  }
  return {records, bytes: sum};
}
