import type {Connection} from '../connection/connection.ts';

/** Longer lists belong into a program. */
const mostNamed = 8;

/**
 * What a database has and a collection of all its tables has not, one sentence for each kind: a backup brings what
 * tables and views need, as far as the server knows that they need it.
 */
export async function leftBehindOf(connection: Connection): Promise<readonly string[]> {
  const user = (namespace: string) => `${namespace} IN (SELECT oid FROM pg_namespace
    WHERE nspname !~ '^(pg_|_bkp)' AND nspname <> 'information_schema')`;
  const isOfExtension = (catalog: string, oid: string) => `EXISTS (SELECT FROM pg_depend e
    WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;
  const isNeeded = (catalog: string, oid: string) => `EXISTS (SELECT FROM pg_depend d
    WHERE d.refclassid = '${catalog}'::regclass AND d.refobjid = ${oid} AND d.deptype IN ('n', 'a', 'i'))`;
  const rows = await connection.rows(`
    SELECT CASE prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid::regprocedure::text FROM pg_proc p
      WHERE ${user('pronamespace')} AND NOT ${isOfExtension('pg_proc', 'p.oid')} AND NOT ${isNeeded('pg_proc', 'p.oid')}
    UNION ALL
    SELECT 'sequence', c.oid::regclass::text FROM pg_class c
      WHERE relkind = 'S' AND ${user('relnamespace')} AND NOT ${isOfExtension('pg_class', 'c.oid')}
        AND NOT ${isNeeded('pg_class', 'c.oid')}
        AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid
          AND o.deptype IN ('a', 'i'))
    UNION ALL SELECT 'foreign table', oid::regclass::text FROM pg_class WHERE relkind = 'f' AND ${user('relnamespace')}
    UNION ALL SELECT 'event trigger', evtname FROM pg_event_trigger WHERE evtname !~ '^~?_?bkp'
    UNION ALL SELECT 'publication', pubname FROM pg_publication
    UNION ALL SELECT 'default privilege', format('of %I', defaclrole::regrole::text) FROM pg_default_acl
    UNION ALL SELECT 'large object', NULL FROM (SELECT FROM pg_largeobject_metadata LIMIT 1) l
    ORDER BY 1, 2`);
  const kinds = new Map<string, string[]>();
  for (const [kind, name] of rows) kinds.set(kind!, [...(kinds.get(kind!) ?? []), ...(name === null ? [] : [name!])]);
  return [...kinds].map(([kind, names]) => {
    const unique = [...new Set(names)];
    const more = unique.length > mostNamed ? ` and ${unique.length - mostNamed} more` : '';
    const listed = unique.length === 0 ? '' : `: ${unique.slice(0, mostNamed).join(', ')}${more}`;
    return `${kind}s are not in a backup unless a table or view needs them${listed}`;
  });
}
