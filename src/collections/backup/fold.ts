import type {Delta, Layer} from '../stored/layers.ts';

/** When deltas of a table are merged, and when the table gets a new base. */
export type FoldLimits = {
  /** As many deltas are never merged: a restore reads them in no noticeable time. */
  deltas: number;
  /** The next older delta is merged too if it has at most as many times the keys of those after it. */
  growth: number;
  /** The part of the rows of the base that a delta may name. */
  basePart: number;
  /** A delta with fewer keys needs no new base, however small the table is. */
  leastKeys: number;
};

/** Measured with deltas of 12 % of the rows: a restore takes 1.3 times the CPU time of one of a base alone. */
export const foldLimits: FoldLimits = {deltas: 8, growth: 2, basePart: 1 / 8, leastKeys: 1000};

/** `merged` are the newest layers, and the next delta replaces them; `rebase`: why the table should get a new base. */
export type FoldPlan = {rebase: string} | {rebase?: undefined; kept: readonly Layer[]; merged: readonly Delta[]};

/**
 * Decides what the next delta of a table replaces. Sizes of the deltas that stay grow geometrically, so a table has
 * O(log n) of them after n backups, and each key is written O(log n) times. The changed keys are bounded by a part of
 * the base, so a restore takes a bounded time.
 * @param layers base first
 * @param logged changes in the log; 0: the table has not changed, and its layers stay
 */
export function planFold(layers: readonly Layer[], logged: number, limits: FoldLimits = foldLimits): FoldPlan {
  const [base] = layers;
  const deltas = layers.filter((layer): layer is Delta => layer.kind === 'delta');
  if (base === undefined || logged === 0) return {kept: layers, merged: []};
  const most = mostChangedKeys(base.rows, limits);
  const largest = deltas.reduce((keys, delta) => Math.max(keys, delta.keys), 0);
  // Keys may be in several deltas: only the largest one shows how many rows have changed at least.
  if (largest > most) return {rebase: `${largest} of its rows have changed since all ${base.rows} were taken`};
  const sum = deltas.reduce((keys, delta) => keys + delta.keys, 0);
  const merged = sum > 2 * most ? deltas.length : deltas.length < limits.deltas ? 0 : mergeable(deltas, logged, limits);
  const at = layers.length - merged;
  return {kept: layers.slice(0, at), merged: deltas.slice(deltas.length - merged)};
}

/** How many keys a delta may name before the table should get a new base. */
export function mostChangedKeys(baseRows: number, {leastKeys, basePart}: FoldLimits): number {
  return Math.max(leastKeys, baseRows * basePart);
}

/** How many of the newest deltas the next one replaces. */
function mergeable(deltas: readonly Delta[], logged: number, {growth}: FoldLimits): number {
  let keys = logged;
  let count = 0;
  for (const delta of deltas.toReversed()) {
    if (delta.keys > growth * keys) break;
    keys += delta.keys;
    count++;
  }
  return count;
}
