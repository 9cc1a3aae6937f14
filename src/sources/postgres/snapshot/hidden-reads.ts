import {userSchemas} from '../catalog/own-schemas.ts';
import {members, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** Longer lists belong into a program. */
const mostNamed = 3;

/**
 * Tells which checks, indexes, generated columns and domains of tables call a function whose text has the name of a
 * table where a statement has one, if that is not in the backup. The server does not know what such a text refers to.
 * If the function reads that table, a restore needs it.
 * @param withViews those are in the backup too
 */
export async function tellHiddenReads(
  connection: Connection,
  relations: readonly Pick<Relation, 'oid'>[],
  {withViews, notice}: {withViews: boolean; notice: ((text: string) => void) | undefined},
): Promise<void> {
  if (notice === undefined || relations.length === 0) return;
  const rows = await connection.rows(`
    WITH ${members(relations)},
    uses (rel, classid, objid) AS (
      SELECT conrelid, 'pg_constraint'::regclass, oid FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
      UNION ALL SELECT a.attrelid, 'pg_constraint'::regclass, k.oid FROM pg_constraint k
        JOIN pg_attribute a ON a.atttypid = k.contypid WHERE k.contypid <> 0
      UNION ALL SELECT d.adrelid, 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d
        JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''
      UNION ALL SELECT indrelid, 'pg_class'::regclass, indexrelid FROM pg_index)
    SELECT DISTINCT member.root::regclass, p.oid::regprocedure, r.oid::regclass
    FROM member JOIN uses u ON u.rel = member.oid
    JOIN pg_depend d ON d.classid = u.classid AND d.objid = u.objid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid AND p.prosqlbody IS NULL AND p.pronamespace IN ${userSchemas}
    JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
    JOIN pg_class r ON r.relkind IN (${withViews ? "'r', 'p'" : "'r', 'p', 'v', 'm'"})
      AND NOT r.relispartition AND r.relnamespace IN ${userSchemas}
    WHERE r.oid NOT IN (SELECT oid FROM member) AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
      AND p.prosrc ~* ('\\m(from|join|into|update|only)\\s+([\\w"]+\\.)?"?' ||
        regexp_replace(r.relname, '(\\W)', '\\\\\\1', 'g') || '"?(?!\\w)')
    ORDER BY 1, 2, 3`);
  if (rows.length === 0) return;
  const shown = rows.slice(0, mostNamed).map(([table, call, read]) => `${table} calls ${call}, which mentions ${read}`);
  const more = rows.length > mostNamed ? ` (and ${rows.length - mostNamed} more)` : '';
  notice(
    `a check or an index may read a table that is not in the backup: ${shown.join('; ')}${more}. ` +
      "If it does, a restore works where that table is; VERIFY … WITH (LEVEL='restore') tries it",
  );
}
