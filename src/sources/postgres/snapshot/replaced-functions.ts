import {members, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** Longer lists belong into a program. */
const mostNamed = 3;

/**
 * Tells which stored generated columns and keys of partitions call a function that was changed after they were made. A
 * restore evaluates it again: it may refuse rows that are there, or decide otherwise. The function is not called here:
 * it is the transactions that wrote the rows of the catalog that are compared. What a function itself calls, the
 * server does not know.
 */
export async function tellReplacedFunctions(
  connection: Connection,
  relations: readonly Pick<Relation, 'oid'>[],
  notice: ((text: string) => void) | undefined,
): Promise<void> {
  if (notice === undefined || relations.length === 0) return;
  const rows = await connection.rows(`
    WITH ${members(relations)},
    uses (rel, what, classid, objid, made) AS (
      SELECT d.adrelid, format('column %I of %s', a.attname, d.adrelid::regclass), 'pg_attrdef'::regclass, d.oid, d.xmin
        FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE a.attgenerated = 's'
      UNION ALL SELECT partrelid, format('key of the partitions of %s', partrelid::regclass), 'pg_class'::regclass,
        partrelid, xmin FROM pg_partitioned_table)
    SELECT DISTINCT u.what, p.oid::regprocedure
    FROM member JOIN uses u ON u.rel = member.oid
    JOIN pg_depend d ON d.classid = u.classid AND d.objid = u.objid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid
    WHERE age(p.xmin) < age(u.made) ORDER BY 1, 2`);
  if (rows.length === 0) return;
  const shown = rows.slice(0, mostNamed).map(([what, call]) => `${what} calls ${call}`);
  const more = rows.length > mostNamed ? ` (and ${rows.length - mostNamed} more)` : '';
  notice(
    `a function was changed after what calls it was made: ${shown.join('; ')}${more}. A restore calls it again: ` +
      'values may be others, and rows in another partition; a column that it refuses comes back without values; ' +
      "VERIFY … WITH (LEVEL='restore') tries it",
  );
}
