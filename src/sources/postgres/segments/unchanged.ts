import type {Connection} from '../connection/connection.ts';

/** Ranges that one statement counts. */
const rangesAtOnce = 32;

/** A range of the base before, as a condition, and how many rows it had. */
export type CountedRange = {condition: string; rows: number};

/**
 * Finds the ranges that have exactly the rows that they had. A row that no younger transaction wrote was visible to
 * the base before, in the same range; so the rows of now are some of those of then, and if they are as many, they are
 * the same. Locks and rolled back changes leave `xmin` as it is. A row whose `xmin` wrapped around counts as young.
 * @param xmin of the base before, 64 bits; fewer than 2^31 transactions ago
 * @returns positions in `ranges`
 */
export async function unchangedRanges(
  connections: readonly Connection[],
  {from, xmin}: {from: string; xmin: string},
  ranges: readonly CountedRange[],
): Promise<ReadonlySet<number>> {
  const unchanged = new Set<number>();
  let next = 0;
  const count = async (connection: Connection) => {
    while (next < ranges.length) {
      const first = next;
      next += rangesAtOnce;
      const queries = ranges.slice(first, next).map(
        ({condition}, at) =>
          `SELECT ${first + at}, count(*), bool_and(age(xmin) > age('${xmin}'::xid8::xid))
            FROM ${from} WHERE ${condition}`,
      );
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
