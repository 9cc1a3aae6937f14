import {readSync} from 'node:fs';
import {assert} from '../../../errors/index.ts';
import {writeAt} from './write-at.ts';

/** https://www.sqlite.org/fileformat2.html#the_database_header */
export const headerBytes = 100;
const magic = 'SQLite format 3\0';
const at = {
  pageSize: 16,
  reservedBytes: 20,
  changeCounter: 24,
  pages: 28,
  largestRoot: 52,
  versionValidFor: 92,
} as const;

/** What the layout needs to know from the header of a database file. */
export type DatabaseHeader = {
  pageSize: number;
  usableBytes: number;
  pages: number;
  /** Whether the database has pointer maps: auto_vacuum is on. */
  hasMaps: boolean;
};

function read(file: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  const bytes = readSync(file, header, 0, headerBytes, 0);
  assert(bytes === headerBytes && header.toString('latin1', 0, magic.length) === magic, 'SQLite has created the file');
  return header;
}

export function readHeader(file: number): DatabaseHeader {
  const header = read(file);
  const stored = header.readUInt16BE(at.pageSize);
  // 65536 does not fit.
  const pageSize = stored === 1 ? 65536 : stored;
  return {
    pageSize,
    usableBytes: pageSize - header[at.reservedBytes]!,
    pages: header.readUInt32BE(at.pages),
    hasMaps: header.readUInt32BE(at.largestRoot) > 0,
  };
}

/** SQLite trusts the number of pages if the counter of changes equals the one that the number is valid for. */
export function writePageCount(file: number, pages: number): void {
  const header = read(file);
  const changes = (header.readUInt32BE(at.changeCounter) + 1) >>> 0;
  header.writeUInt32BE(pages, at.pages);
  header.writeUInt32BE(changes, at.changeCounter);
  header.writeUInt32BE(changes, at.versionValidFor);
  writeAt(file, header, 0);
}
