import {readFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import type {LayoutTree} from '../../../../src/sources/sqlite/layout/tree-writer.ts';

/** A tree of a database file, read by a second implementation of the format: simple, slow, and independent. */
export type ReadTree = LayoutTree & {
  /** As chunks hold them: `varint payload bytes, [varint rowid,] payload`. */
  content: Buffer[];
};

type Pages = {bytes: Buffer; pageSize: number; usable: number};

/** All trees of tables and indexes, without `sqlite_` tables. No process writes to the file. */
export function readTrees(path: string): ReadTree[] {
  const bytes = readFileSync(path);
  const stored = bytes.readUInt16BE(16);
  const pageSize = stored === 1 ? 65536 : stored;
  const pages = {bytes, pageSize, usable: pageSize - bytes[20]!};
  return roots(path).map(({name, root, kind}) => {
    const content = [...recordsOf(pages, root)];
    return {name, kind, root, records: content.length, content};
  });
}

/** The roots of all trees in the order of their names, which is the same in a database with the same statements. */
export function roots(path: string): Omit<LayoutTree, 'records'>[] {
  using database = new DatabaseSync(path, {readOnly: true});
  const withoutRowid = new Set(
    database
      .prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr`)
      .all()
      .map(({name}) => name),
  );
  return database
    .prepare(
      `SELECT type, name, rootpage FROM sqlite_schema WHERE rootpage > 0 AND name <> 'sqlite_sequence' ORDER BY name`,
    )
    .all()
    .map(({type, name, rootpage}) => ({
      name: String(name),
      kind: type === 'table' && !withoutRowid.has(name!) ? 'rowid' : 'key',
      root: Number(rootpage),
    }));
}

function* recordsOf(pages: Pages, number: number): Generator<Buffer> {
  const page = pages.bytes.subarray((number - 1) * pages.pageSize, number * pages.pageSize);
  const type = page[0]!;
  const isInner = type === 2 || type === 5;
  const header = isInner ? 12 : 8;
  for (let i = 0; i < page.readUInt16BE(3); i++) {
    const cell = page.readUInt16BE(header + 2 * i);
    if (isInner) yield* recordsOf(pages, page.readUInt32BE(cell));
    if (type !== 5) yield recordAt(pages, page, isInner ? cell + 4 : cell, type === 13);
  }
  if (isInner) yield* recordsOf(pages, page.readUInt32BE(8));
}

function recordAt({bytes, pageSize, usable}: Pages, page: Buffer, at: number, isTable: boolean): Buffer {
  const [payloadBytes, afterSize] = varint(page, at);
  const payload = isTable ? varint(page, afterSize)[1] : afterSize;
  const most = isTable ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const fitting = least + ((payloadBytes - least) % (usable - 4));
  const local = payloadBytes <= most ? payloadBytes : fitting <= most ? fitting : least;
  const parts = [page.subarray(at, payload + local)];
  let rest = payloadBytes - local;
  for (let next = rest > 0 ? page.readUInt32BE(payload + local) : 0; rest > 0; ) {
    const overflow = bytes.subarray((next - 1) * pageSize, next * pageSize);
    parts.push(overflow.subarray(4, Math.min(usable, 4 + rest)));
    rest -= usable - 4;
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts);
}

/** @returns the value (exact below 2^53) and its end */
export function varint(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = bytes[at + i]!;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, at + i + 1];
  }
  return [value * 256 + bytes[at + 8]!, at + 9];
}
