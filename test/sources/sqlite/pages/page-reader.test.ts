import {closeSync, openSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {PageFiles} from '../../../../src/sources/sqlite/pages/page-files.ts';
import {PageReader} from '../../../../src/sources/sqlite/pages/page-reader.ts';
import {noPageVisited} from '../../../../src/sources/sqlite/pages/visited-pages.ts';
import {folder} from '../database.ts';

const pageBytes = 512;

/** Pages 1 to 6 are in the file, except that the log has page 3 in its second frame, and pages 5 and 6 are cut off. */
function files(): PageFiles {
  const inside = folder();
  const opened = (name: string, bytes: Buffer) => {
    writeFileSync(join(inside, name), bytes);
    const descriptor = openSync(join(inside, name), 'r');
    onTestFinished(() => closeSync(descriptor));
    return descriptor;
  };
  const page = (byte: number) => Buffer.alloc(pageBytes, byte);
  const frame = (byte: number) => Buffer.concat([Buffer.alloc(24, 0xee), page(byte)]);
  const frames = new Uint32Array(new SharedArrayBuffer(7 * 4));
  frames[3] = 2;
  frames[6] = 3;
  return {
    file: opened('file', Buffer.concat([page(1), page(2), page(3), page(4), Buffer.alloc(pageBytes - 1, 5)])),
    wal: opened('log', Buffer.concat([Buffer.alloc(32, 0xee), frame(0x22), frame(0x33)])),
    frames: frames.buffer as SharedArrayBuffer,
    ...{pageBytes, usableBytes: pageBytes, pages: 6, visited: noPageVisited(6)},
  };
}

test('a page is read from the log if a frame holds it, else from the file, also into shared memory', () => {
  const reader = new PageReader(files());
  const into = new Uint8Array(new SharedArrayBuffer(3 * pageBytes));
  for (const [at, page] of [2, 3, 4].entries()) reader.read(page, into, at * pageBytes);
  expect([...into]).toEqual([2, 0x33, 4].flatMap((byte) => Array(pageBytes).fill(byte)));
  expect([2, 3].map((page) => reader.isInFile(page))).toEqual([true, false]);
});

test('neighbouring pages of the file are read together', () => {
  const into = new Uint8Array(2 * pageBytes + 1);
  new PageReader(files()).readAdjacent(1, 2, into, 1);
  expect([...into]).toEqual([0, 1, 2].flatMap((byte) => Array(byte === 0 ? 1 : pageBytes).fill(byte)));
});

test('a page that the file or the log no longer contains is a fault', () => {
  const reader = new PageReader(files());
  const into = new Uint8Array(4 * pageBytes);
  expect(() => reader.read(5, into)).toThrow('page 5 is missing: the file is too short');
  expect(() => reader.readAdjacent(4, 2, into, 0)).toThrow('page 5 is missing: the file is too short');
  expect(() => reader.read(6, into)).toThrow('page 6 is missing: the write-ahead log is too short');
});
