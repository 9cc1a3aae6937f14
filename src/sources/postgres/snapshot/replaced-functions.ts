import {members, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** A notice names at most this many. */
const mostNamed = 3;

/**
 * Names the stored generated columns and keys of partitions that call a function which was changed after they were
 * created. A restore evaluates it again: it may refuse rows that are there, or compute something else. Nothing calls
 * the function here: the transactions that wrote the rows of the catalog are compared. The server does not record what
 * a function itself calls.
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
    'a function, or the rights to call it, changed after the column or key that calls it was created: ' +
      `${shown.join('; ')}${more}. A restore calls it again, and rows may come into other partitions; a column of ` +
      'which it computes other values, or refuses rows, comes back with those of the backup, as a plain one; ' +
      "VERIFY … WITH (LEVEL='restore') tries it",
  );
}
