import {assert, BkpError} from '../../errors/index.ts';
import {
  type BaseSegment,
  type BaseStream,
  type Snapshot,
  type TableBase,
  type TableName,
  type TakeOver,
  TakeRows,
} from '../../sources/index.ts';
import {maxChunkBytes} from '../../vault/index.ts';
import type {RecordsBase, RowsBase, StreamIndex, TreeRecords} from '../stored/layers.ts';
import type {PreviousBase, PreviousTree} from './previous-base.ts';
import {type LayerSink, writeSegments} from './write-segments.ts';

type BaseTools = {
  snapshot: Snapshot;
  /** Called if the table is taken as rows although another form would be faster; `reason` ends a sentence. */
  takenAsRows: (table: TableName, reason: string) => void;
};

/** Writes all rows of a table, as records if the source has them. */
export async function writeBase(
  sink: LayerSink,
  {snapshot, takenAsRows}: BaseTools,
  table: TableName,
  previous: PreviousBase | undefined,
): Promise<RowsBase | RecordsBase> {
  const cuts = previous && new Map([...previous.trees].map(([name, {cuts}]) => [name, cuts]));
  const takeOver = takeOverOf(sink, table, previous);
  const taken = await snapshot.base(table, {previous: cuts, takeOver});
  if (taken.form === 'records') {
    try {
      return await writeRecords(sink, taken, previous);
    } catch (error) {
      if (!(error instanceof TakeRows)) throw error;
      takenAsRows(table, error.message);
    }
  } else if (taken.reason !== undefined) takenAsRows(table, taken.reason);
  const rows = taken.form === 'rows' ? taken : await snapshot.base(table, {form: 'rows', previous: cuts, takeOver});
  assert(rows.form === 'rows', `the rows of ${table} were asked for`);
  return writeRows(sink, snapshot, {table, rows: rows.rows, previous});
}

async function writeRecords(
  sink: LayerSink,
  {trees}: TableBase & {form: 'records'},
  previous: PreviousBase | undefined,
): Promise<RecordsBase> {
  const written: TreeRecords[] = [];
  for (const {name, kind, fingerprint, records} of trees) {
    const likeOf = likeOfPrevious(previous, 'records', name);
    const {data, rows} = await writeSegments(sink, records, {likeOf, records: kind});
    const {stream, segments} = data;
    const cuts = await writeCuts(sink, records);
    written.push({name, kind, fingerprint, records: rows, data: {stream, segments}, cuts});
  }
  const [own] = written;
  assert(own !== undefined, 'a base of records has a tree');
  return {kind: 'base', form: 'records', backup: sink.backup, rows: own.records, trees: written};
}

async function writeRows(
  sink: LayerSink,
  snapshot: Snapshot,
  {table, rows: base, previous}: {table: TableName; rows: BaseStream; previous: PreviousBase | undefined},
): Promise<RowsBase> {
  const {data, rows} = await writeSegments(sink, base, {
    likeOf: likeOfPrevious(previous, 'rows', table),
    keptOf: ({previous: segment}) => previous!.trees.get(table)!.chunksOf[segment!]!,
  });
  const counted = await snapshot.countRows(table);
  if (counted !== rows) {
    // Some range was read twice or not at all: such a backup must not be committed.
    throw new BkpError('SOURCE_DAMAGED', `table ${table} has ${counted} rows, and ${rows} were read`, {
      next: 'check the database (PRAGMA integrity_check): an index that disagrees with its table does this',
      context: {table},
    });
  }
  return {kind: 'base', backup: sink.backup, rows, data, cuts: await writeCuts(sink, base)};
}

async function writeCuts({writer, streams}: LayerSink, base: BaseStream): Promise<StreamIndex> {
  return streams.add(await writer.write(piecesOf(Buffer.from(base.cuts(), 'utf8'))));
}

/** As few as a chunk allows: the cuts of a table of a hundred GiB, or with long keys, do not fit into one. */
export function piecesOf(bytes: Uint8Array, most = maxChunkBytes): {bytes: Uint8Array}[] {
  const count = Math.max(1, Math.ceil(bytes.length / most));
  return Array.from({length: count}, (_, at) => ({bytes: bytes.subarray(at * most, (at + 1) * most)}));
}

/** What the source may leave unread: segments of which the vault has all chunks. */
function takeOverOf({writer}: LayerSink, table: TableName, previous: PreviousBase | undefined): TakeOver | undefined {
  const tree = previous?.form === 'rows' ? previous.trees.get(table) : undefined;
  if (tree === undefined || previous?.mark === undefined) return undefined;
  return {
    mark: previous.mark,
    isKept: (segment) => tree.chunksOf[segment]?.every((id) => writer.keptBytes(id) !== undefined) ?? false,
  };
}

/** Finds the chunk of the previous base that begins where a segment does. Rows do not resemble records. */
function likeOfPrevious(previous: PreviousBase | undefined, form: PreviousBase['form'], name: string) {
  const tree: PreviousTree | undefined = previous?.form === form ? previous.trees.get(name) : undefined;
  return (segment: BaseSegment, piece: number) =>
    segment.previous === undefined ? undefined : tree?.chunksOf[segment.previous]?.[piece];
}
