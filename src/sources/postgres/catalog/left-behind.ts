import type {Connection} from '../connection/connection.ts';
import {userSchemas} from './own-schemas.ts';

/** Longer lists belong into a program. */
const mostNamed = 8;

/** What a database has and a collection of all its tables has not, one sentence for each kind. */
export async function leftBehindOf(connection: Connection): Promise<readonly string[]> {
  const user = (namespace: string) => `${namespace} IN ${userSchemas}`;
  const qualified = (oid: string) => `(SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${oid})`;
  const rows = await connection.rows(`
    SELECT 'foreign tables', ${qualified('f.oid')} FROM pg_class f WHERE relkind = 'f' AND ${user('relnamespace')}
    UNION ALL SELECT 'event triggers', evtname FROM pg_event_trigger
    UNION ALL SELECT 'publications', pubname FROM pg_publication
    UNION ALL SELECT 'foreign servers', srvname FROM pg_foreign_server
    UNION ALL SELECT 'subscriptions', subname FROM pg_subscription
      WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'tables with partitions on another server', ${qualified('root.oid')}
      FROM pg_class f, LATERAL (SELECT pg_partition_root(f.oid) AS oid) root
      WHERE f.relkind = 'f' AND f.relispartition AND ${user('f.relnamespace')}
    UNION ALL SELECT 'access methods of tables', ${qualified('own.oid')} || ' (' || a.amname || ')'
      FROM pg_class own JOIN pg_am a ON a.oid = own.relam
      WHERE own.relkind IN ('r', 'p', 'm') AND a.amname <> 'heap' AND ${user('own.relnamespace')}
    UNION ALL SELECT 'tablespaces of tables and indexes', ${qualified('own.oid')} || ' (' || s.spcname || ')'
      FROM pg_class own JOIN pg_tablespace s ON s.oid = own.reltablespace WHERE ${user('own.relnamespace')}
    UNION ALL SELECT 'large objects', NULL FROM (SELECT FROM pg_largeobject_metadata LIMIT 1) l
    ORDER BY 1, 2`);
  const kinds = new Map<string, string[]>();
  for (const [kind, name] of rows) kinds.set(kind!, [...(kinds.get(kind!) ?? []), ...(name === null ? [] : [name!])]);
  return [...kinds].map(([kind, names]) => {
    const unique = [...new Set(names)];
    const more = unique.length > mostNamed ? ` and ${unique.length - mostNamed} more` : '';
    const listed = unique.length === 0 ? '' : `: ${unique.slice(0, mostNamed).join(', ')}${more}`;
    return `${kind} are not in a backup${listed}`;
  });
}
