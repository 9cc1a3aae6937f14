import {closeSync, existsSync, openSync, readFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import type {KeyRun, PageFiles, RowidRun} from '../../../../src/sources/sqlite/pages/page-files.ts';
import {PageReader} from '../../../../src/sources/sqlite/pages/page-reader.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';

/** A plain reader of b-trees, to compare with: it trusts the file. */

export const leastRowid = -(2n ** 63n);
export const mostRowid = 2n ** 63n - 1n;

export type RowidTree = {kind: 'rowid'; leaves: number[]; bounds: bigint[]};
export type KeyTree = {kind: 'key'; leaves: number[]; separators: {page: number; cell: number}[]};

/** Opens the files of a database to which no process writes. */
export function openFiles(path: string): {files: PageFiles; close: () => void} {
  const db = new DatabaseSync(path);
  const number = (pragma: string) => Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get()!)[0]);
  const [pageBytes, pages] = [number('page_size'), number('page_count')];
  const header = readFileSync(path).subarray(0, 100);
  const log = existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0);
  const frames = framesIn(log, {pageBytes, pages});
  const file = openSync(path, 'r');
  const wal = log.length > 0 ? openSync(`${path}-wal`, 'r') : undefined;
  return {
    files: {
      ...{file, wal, frames, pageBytes, pages, usableBytes: pageBytes - header[20]!},
      visited: noPageVisited(pages),
    },
    close: () => {
      db.close();
      closeSync(file);
      if (wal !== undefined) closeSync(wal);
    },
  };
}

function framesIn(log: Buffer, {pageBytes, pages}: {pageBytes: number; pages: number}): SharedArrayBuffer | undefined {
  if (log.length === 0) return undefined;
  const frames = new Uint32Array(new SharedArrayBuffer((pages + 1) * 4));
  for (let at = 32, frame = 1; at + 24 + pageBytes <= log.length; at += 24 + pageBytes, frame++) {
    if (log.compare(log, 16, 24, at + 8, at + 16) !== 0) break;
    const page = log.readUInt32BE(at);
    if (page <= pages) frames[page] = frame;
  }
  return frames.buffer as SharedArrayBuffer;
}

export function readTree(files: PageFiles, root: number): RowidTree | KeyTree {
  const reader = new PageReader(files);
  const page = (number: number) => {
    const bytes = Buffer.alloc(files.pageBytes);
    reader.read(number, bytes);
    return bytes;
  };
  const isTable = [5, 13].includes(page(root)[0]!);
  const leaves: number[] = [];
  const bounds = [leastRowid];
  const separators: {page: number; cell: number}[] = [];
  const walk = (number: number) => {
    const bytes = page(number);
    if (bytes[0]! > 5) {
      leaves.push(number);
      return;
    }
    const cells = bytes.readUInt16BE(3);
    for (let cell = 0; cell < cells; cell++) {
      const at = bytes.readUInt16BE(12 + 2 * cell);
      walk(bytes.readUInt32BE(at));
      if (isTable) bounds.push(BigInt.asIntN(64, readVarint(bytes, at + 4).value));
      else separators.push({page: number, cell});
    }
    walk(bytes.readUInt32BE(8));
  };
  walk(root);
  return isTable ? {kind: 'rowid', leaves, bounds: [...bounds, mostRowid]} : {kind: 'key', leaves, separators};
}

/**
 * One run for each range between these rowids, the first without a lower limit.
 * @param ends ascending, the last one 2^63 - 1
 */
export function rowidRuns({leaves, bounds}: RowidTree, ends: readonly bigint[]): RowidRun[] {
  return ends.map((upTo, n) => {
    const after = n === 0 ? undefined : ends[n - 1]!;
    const first = after === undefined ? 0 : leaves.findIndex((_, leaf) => bounds[leaf + 1]! > after);
    const last = leaves.findIndex((_, leaf) => bounds[leaf + 1]! >= upTo);
    return {
      kind: 'rowid',
      leaves: Uint32Array.from(leaves.slice(first, last + 1)),
      bounds: BigInt64Array.from(bounds.slice(first, last + 2)),
      ...{after, upTo},
    };
  });
}

/** One run for each group of leaves. @param ends ascending numbers of leaves, the last is their count */
export function keyRuns(
  {leaves, separators}: KeyTree,
  ends: readonly number[],
  {hashed, mask}: Pick<KeyRun, 'hashed' | 'mask'>,
): KeyRun[] {
  return ends.map((end, n) => {
    const of = <T>(list: readonly T[]) => list.slice(n === 0 ? 0 : ends[n - 1]!, end);
    const count = of(leaves).length;
    const after = of(separators);
    const padded = <T>(values: T[], none: T) => [...values, ...Array(count - values.length).fill(none)] as T[];
    return {
      kind: 'key',
      leaves: Uint32Array.from(of(leaves)),
      separatorPages: Uint32Array.from(
        padded(
          after.map(({page}) => page),
          0,
        ),
      ),
      separatorCells: Uint16Array.from(
        padded(
          after.map(({cell}) => cell),
          0,
        ),
      ),
      ...{hashed, mask},
    };
  });
}

export function readVarint(bytes: Uint8Array, at: number): {value: bigint; end: number} {
  let value = 0n;
  for (let n = 0; n < 8; n++) {
    const byte = bytes[at + n]!;
    value = (value << 7n) | BigInt(byte & 0x7f);
    if (byte < 0x80) return {value, end: at + n + 1};
  }
  return {value: (value << 8n) | BigInt(bytes[at + 8]!), end: at + 9};
}
