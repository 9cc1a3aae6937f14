import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {DatabaseSync} from 'node:sqlite';
import {PageLayout} from '../../../../src/sources/sqlite/layout/page-layout.ts';
import {type ReadTree, roots} from './trees.ts';

export type FileOptions = {
  pageSize: number;
  encoding?: string | undefined;
  autoVacuum?: number | undefined;
  /** Bytes at the end of each page that SQLite does not use. */
  reserved?: number | undefined;
};

/** Creates an empty database. SQLite has no statement for reserved bytes; it keeps those that the header names. */
export function createDatabase(
  path: string,
  {pageSize, encoding = 'UTF-8', autoVacuum = 0, reserved = 0}: FileOptions,
) {
  for (const end of ['', '-journal', '-wal', '-shm']) rmSync(path + end, {force: true});
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = ${autoVacuum};
    PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA user_version = 1;`);
  if (reserved === 0) return database;
  database.close();
  const bytes = readFileSync(path);
  bytes[20] = reserved;
  bytes.writeUInt16BE(pageSize - reserved, 105);
  writeFileSync(path, bytes);
  const again = new DatabaseSync(path);
  // The first table decides the encoding.
  again.exec(`PRAGMA encoding = '${encoding}'; PRAGMA synchronous = OFF`);
  return again;
}

/** The statements of all tables and indexes, tables first. */
export function statementsOf(database: DatabaseSync): string[] {
  return database
    .prepare(`SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'index', name`)
    .all()
    .map(({sql}) => String(sql));
}

/** Records in chunks. */
export type Cut = (records: readonly Buffer[]) => Buffer[];

/** Chunks of at least `bytes`, as far as there are records. */
export function chunksOf(bytes: number): Cut {
  return (records) => {
    const chunks: Buffer[] = [];
    let open: Buffer[] = [];
    let size = 0;
    for (const record of records) {
      open.push(record);
      size += record.length;
      if (size < bytes) continue;
      chunks.push(Buffer.concat(open));
      open = [];
      size = 0;
    }
    if (open.length > 0) chunks.push(Buffer.concat(open));
    return chunks;
  };
}

/** One after the other, each overwritten as soon as the next one is asked for. */
export async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk);
    yield bytes;
    bytes.fill(0xff);
  }
}

/** Lays out the trees in a file with the same statements. */
export async function layOut(
  path: string,
  trees: readonly ReadTree[],
  {cut = chunksOf(1024 * 1024), hereUpToBytes}: {cut?: Cut; hereUpToBytes?: number} = {},
): Promise<{pages: number}> {
  const targets = new Map(roots(path).map((tree) => [tree.name, tree]));
  const layout = await PageLayout.open(path, {threads: 2, hereUpToBytes, syncEarly: false});
  try {
    for (const {name, kind, records, content} of trees) {
      await layout.addTree({name, kind, records, root: targets.get(name)!.root}, streamOf(cut(content)));
    }
    return await layout.finish();
  } finally {
    await layout.close();
  }
}
