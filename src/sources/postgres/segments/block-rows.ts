import type {BaseSegment, BaseStream, Cuts} from '../../source.ts';
import {columnList} from '../catalog/columns.ts';
import type {TableToRead} from './base-rows.ts';
import {blockCuts, readCuts} from './ranges.ts';
import {readRows} from './read-rows.ts';

/** 1 MiB of a table. */
const blocksPerSegment = 128;
/** No segment is larger than the collections divide anyway. */
const unlimited = Number.MAX_SAFE_INTEGER;

/**
 * All rows of a table in the order of its blocks, some blocks at a time: for tables without a key, and for keys in
 * whose order each row would be on another page. VACUUM does not move rows.
 */
export class BlockOrderedRows implements BaseStream {
  readonly #table: TableToRead;
  readonly #starts: number[] = [];

  constructor(table: TableToRead) {
    this.#table = table;
  }

  cuts(): Cuts {
    return blockCuts(blocksPerSegment, this.#starts);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BaseSegment> {
    const {connection, from, columns, previous} = this.#table;
    const list = columnList(columns.columns);
    const before = readCuts(previous);
    const segmentAt = new Map(
      before?.by === 'block' && before.blocks === blocksPerSegment ? before.starts.map((start, at) => [start, at]) : [],
    );
    const relation = from.replace(/^ONLY /u, '');
    const blocks = Number(
      await connection.value(
        `SELECT pg_catalog.pg_relation_size('${relation.replaceAll("'", "''")}'::regclass)
          / pg_catalog.current_setting('block_size')::int`,
      ),
    );
    for (let start = 0; start === 0 || start < blocks; start += blocksPerSegment) {
      // Rows of a transaction that ended later may be behind the end that was asked for: the last range has none.
      const isLast = start + blocksPerSegment >= blocks;
      const end = isLast ? '' : ` AND ctid < '(${start + blocksPerSegment},0)'`;
      const query = `SELECT ${list} FROM ${from} WHERE ctid >= '(${start},0)'${end}`;
      for await (const segment of readRows(connection, query, {segmentBytes: unlimited})) {
        this.#starts.push(start);
        const like = segmentAt.get(start);
        yield like === undefined ? segment : {...segment, previous: like};
      }
    }
  }
}
