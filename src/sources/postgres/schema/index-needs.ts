import type {Connection} from '../connection/connection.ts';
import type {Entry} from './entries.ts';

/**
 * Adds to constraints what their indexes need: pg_dump does not name the extension whose operator class a constraint
 * uses, as `EXCLUDE USING gist (id WITH =)` does with btree_gist.
 */
export async function withIndexNeeds(connection: Connection, entries: readonly Entry[]): Promise<readonly Entry[]> {
  const rows = await connection.rows(`
    SELECT c.oid, coalesce(e.refclassid, d.refclassid)::oid, coalesce(e.refobjid, d.refobjid)
    FROM pg_constraint c
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.conindid AND d.deptype = 'n'
    LEFT JOIN pg_depend e ON e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e'
    WHERE c.contype IN ('p', 'u', 'x') AND d.refobjid >= 16384`);
  const ids = new Map(entries.map(({classOid, oid, id}) => [`${classOid}/${oid}`, id]));
  const needs = new Map<number, number[]>();
  for (const [constraint, classOid, oid] of rows) {
    const id = ids.get(`${classOid}/${oid}`);
    if (id !== undefined) needs.set(Number(constraint), [...(needs.get(Number(constraint)) ?? []), id]);
  }
  return entries.map((entry) => {
    const more = entry.type === 'CONSTRAINT' ? needs.get(entry.oid) : undefined;
    return more === undefined ? entry : {...entry, needs: [...entry.needs, ...more]};
  });
}
