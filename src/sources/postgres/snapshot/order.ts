import type {TableColumns} from '../catalog/columns.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** A table of this size is read in any order at the same cost: its pages stay in the cache. */
const smallBytes = 64 * 1024 * 1024;
/** How well the order of the rows on disk follows the key, 1 at most, so that each page is read once. */
const leastCorrelation = 0.9;

/** Whether a base is read in the order of the key, whose ranges survive VACUUM FULL and a restore. */
export async function readsByKey(
  connection: Connection,
  {schema, table, bytes, kind}: Relation,
  {key}: TableColumns,
): Promise<boolean> {
  const [first] = key;
  // Operators of an extension's type are not found by `<` with an empty search path.
  if (first === undefined || !key.every(({equals}) => equals.startsWith('OPERATOR(pg_catalog.'))) return false;
  if (kind === 'partitioned' || bytes < smallBytes) return true;
  const correlation = await connection.value(
    'SELECT correlation FROM pg_stats WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND NOT inherited',
    [schema, table, first.name],
  );
  return Math.abs(Number(correlation ?? 0)) >= leastCorrelation;
}
