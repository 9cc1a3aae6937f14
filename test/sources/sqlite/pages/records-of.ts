import {DatabaseSync} from 'node:sqlite';
import type {BaseStream, Cuts, Snapshot, TableSource, Tree} from '../../../../src/sources/index.ts';

/** A tree of a base of records, in memory. */
export type TakenTree = {
  kind: 'rowid' | 'key';
  chunks: readonly {bytes: Buffer; records: number; previous: number | undefined}[];
  cuts: Cuts;
};

/** The trees of a table by name, taken in one snapshot. */
export async function recordsOf(
  source: TableSource,
  table: string,
  {
    previous,
    omitIndexes = false,
    meanwhile,
  }: {
    previous?: ReadonlyMap<string, TakenTree> | undefined;
    omitIndexes?: boolean;
    meanwhile?: (snapshot: Snapshot) => void | Promise<void>;
  } = {},
): Promise<ReadonlyMap<string, TakenTree>> {
  const snapshot = await source.snapshot({tables: [table], omitIndexes});
  try {
    const base = await snapshot.base(table, {
      previous: previous && new Map([...previous].map(([name, {cuts}]) => [name, cuts])),
    });
    if (base.form !== 'records') throw new Error(`${table} was taken as rows: ${base.reason}`);
    const taken = await takeTrees(base.trees, async () => meanwhile?.(snapshot));
    await snapshot.confirm();
    return taken;
  } finally {
    await snapshot.close();
  }
}

/** @param meanwhile called while a chunk is held */
export async function takeTrees(
  trees: readonly (Tree & {records: BaseStream})[],
  meanwhile: () => Promise<void> = async () => {},
): Promise<ReadonlyMap<string, TakenTree>> {
  const taken = new Map<string, TakenTree>();
  for (const {name, kind, records} of trees) {
    const chunks = await chunksOf(records, meanwhile);
    taken.set(name, {kind, chunks, cuts: records.cuts()});
  }
  return taken;
}

async function chunksOf(stream: BaseStream, meanwhile: () => Promise<void>): Promise<TakenTree['chunks']> {
  const chunks: {bytes: Buffer; records: number; previous: number | undefined}[] = [];
  for await (const {bytes, rows, previous, release} of stream) {
    chunks.push({bytes: Buffer.from(bytes), records: rows, previous});
    await meanwhile();
    release?.();
  }
  return chunks;
}

/** All records of a tree, one after the other. */
export const bytesOf = (tree: TakenTree | undefined) => Buffer.concat(tree!.chunks.map(({bytes}) => bytes));

/** How many chunks of `tree` are not in `before`. */
export function newChunks(tree: TakenTree, before: TakenTree): number {
  const known = new Set(before.chunks.map(({bytes}) => bytes.toString('latin1')));
  return tree.chunks.filter(({bytes}) => !known.has(bytes.toString('latin1'))).length;
}

/** Runs statements like an application, and closes its connection. */
export function execute(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA synchronous = OFF; ${sql}`);
  } finally {
    db.close();
  }
}
