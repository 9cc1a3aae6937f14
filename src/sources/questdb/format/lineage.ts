/**
 * The path without transaction numbers. When a transaction rewrites a partition or a column, the new files have its
 * number in their path: `db/trades~4/2026-01-04.7/price.d.3` and `db/trades~4/2026-01-04/price.d` have the same
 * lineage.
 */
export function lineageOf(path: string): string {
  const parts = path.split('/');
  const file = parts.pop()!.replace(/(\.[dickov])\.\d+$/, '$1');
  // Only below `db/<table>`: the name of a table may look like a numbered partition.
  const folders = parts.map((part, depth) => (depth < 2 ? part : part.replace(/^(\d{4}[^.]*|default)\.\d+$/, '$1')));
  return [...folders, file].join('/');
}
