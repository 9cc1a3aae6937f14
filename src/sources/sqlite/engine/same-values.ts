/** What distinguishes two values that `IS` takes for the same: the storage class, and the sign of a zero. */
export const kindOf = (value: string) => `typeof(${value}) || ${signOfZero(value)}`;

/** SQLite stores -0.0, and considers it equal to 0.0. Its functions for text print both alike. */
const signOfZero = (value: string) => `iif(${value} IS 0.0, sign(atan2(${value}, -1)), '')`;

/**
 * The condition that pairs of values have the same bytes in the same storage class. Comparisons of row values, because
 * a long AND exceeds SQLite's depth.
 */
export function sameValues(pairs: readonly (readonly [string, string])[]): string {
  if (pairs.length === 0) return '1';
  const equal = (of: (value: string) => string) => {
    const row = (side: 0 | 1) => pairs.map((pair) => of(pair[side])).join(', ');
    return pairs.length === 1 ? `${row(0)} IS ${row(1)}` : `(${row(0)}) IS (${row(1)})`;
  };
  return `${equal((value) => `${value} COLLATE BINARY`)} AND ${equal(kindOf)}`;
}
