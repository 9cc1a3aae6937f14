import type {Connection} from '../connection/connection.ts';

/** Ranges that one statement counts. */
const rangesAtOnce = 32;

/** How many parts of a table are counted, so that several connections do about as much each. */
const partsOfTable = 8;
/** Servers can be built with others, and the parts are then of other sizes. */
const usualBlockBytes = 8192;

/** A range of the base before, as a condition, and how many rows it had. */
export type CountedRange = {condition: string; rows: number};

export type TableToCount = {
  from: string;
  /** Of the base before, 64 bits; fewer than 2^31 transactions ago. */
  xmin: string;
};

/**
 * Counts the rows of a table, and finds out whether all of them are those of the base before; see
 * {@link unchangedRanges}. In the order of its blocks, a quarter of what ranges of a key take.
 * @param bytes about how much the table is
 * @returns undefined if a younger transaction wrote one of them
 */
async function countOldRows(
  connections: readonly Connection[],
  {from, xmin, bytes}: TableToCount & {bytes: number},
): Promise<number | undefined> {
  const blocks = Math.ceil(bytes / usualBlockBytes / partsOfTable) + 1;
  const starts = Array.from({length: partsOfTable}, (_, at) => at * blocks);
  let rows = 0;
  let isOld = true;
  const count = async (connection: Connection) => {
    for (let start = starts.shift(); start !== undefined && isOld; start = starts.shift()) {
      // The last part has no end, whatever the size is.
      const end = starts.length === 0 ? '' : ` AND ctid < '(${start + blocks},0)'`;
      const [found] = await connection.rows(
        `SELECT count(*), ${areOld(xmin)} FROM ${from} WHERE ctid >= '(${start},0)'${end}`,
      );
      rows += Number(found![0]);
      if (found![1] === 'f') isOld = false;
    }
  };
  await Promise.all(connections.map(count));
  return isOld ? rows : undefined;
}

const areOld = (xmin: string) => `bool_and(age(xmin) > age('${xmin}'::xid8::xid))`;

/** For ranges that together are all of a table which probably has not changed. */
export type WholeTable = {
  /** About how much it is. */
  bytes: number;
  /** Called with the number of its rows if that is known afterwards. */
  counted: (rows: number) => void;
};

/**
 * Finds the ranges that have exactly the rows that they had. A row that no younger transaction wrote was visible to
 * the base before, in the same range; so the rows of now are some of those of then, and if they are as many, they are
 * the same. Locks and rolled back changes leave `xmin` as it is. A row whose `xmin` wrapped around counts as young.
 * @returns positions in `ranges`
 */
export async function unchangedRanges(
  connections: readonly Connection[],
  {from, xmin, whole}: TableToCount & {whole: WholeTable | undefined},
  ranges: readonly CountedRange[],
): Promise<ReadonlySet<number>> {
  const all = ranges.reduce((sum, {rows}) => sum + rows, 0);
  if (whole !== undefined && all > 0 && (await countOldRows(connections, {from, xmin, bytes: whole.bytes})) === all) {
    whole.counted(all);
    return new Set(ranges.keys());
  }
  const unchanged = new Set<number>();
  let next = 0;
  const count = async (connection: Connection) => {
    while (next < ranges.length) {
      const first = next;
      next += rangesAtOnce;
      const queries = ranges
        .slice(first, next)
        .map(({condition}, at) => `SELECT ${first + at}, count(*), ${areOld(xmin)} FROM ${from} WHERE ${condition}`);
      for (const [at, rows, isOld] of await connection.rows(queries.join(' UNION ALL '))) {
        const same = Number(rows) === ranges[Number(at)]!.rows;
        // Of no rows at all, nothing is known to be old.
        if (same && isOld === 't') unchanged.add(Number(at));
      }
    }
  };
  await Promise.all(connections.map(count));
  return unchanged;
}
