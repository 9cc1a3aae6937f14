/**
 * What stays of a path when a transaction writes a partition or a column anew, and names the new one by its number:
 * `db/trades~4/2026-01-04.7/price.d.3` and `db/trades~4/2026-01-04/price.d` are of one lineage.
 */
export function lineageOf(path: string): string {
  const parts = path.split('/');
  const file = parts.pop()!.replace(/(\.[dickov])\.\d+$/, '$1');
  // Below `db` and the table: a table's own name may end like that, too.
  const folders = parts.map((part, depth) => (depth < 2 ? part : part.replace(/^(\d{4}[^.]*|default)\.\d+$/, '$1')));
  return [...folders, file].join('/');
}
