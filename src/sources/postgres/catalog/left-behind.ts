import type {Connection} from '../connection/connection.ts';
import {userSchemas} from './own-schemas.ts';

/** Longer lists belong into a program. */
const mostNamed = 8;

/** What a database has and a collection of all its tables has not, one sentence for each kind. */
export async function leftBehindOf(connection: Connection): Promise<readonly string[]> {
  const user = (namespace: string) => `${namespace} IN ${userSchemas}`;
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
    UNION ALL ${places(user('own.relnamespace'))}
    UNION ALL SELECT 'large objects', NULL FROM (SELECT FROM pg_largeobject_metadata LIMIT 1) l
    ORDER BY 1, 2`);
  return sentences(rows);
}

/**
 * Likewise for a collection of named tables, with their partitions and indexes.
 * @param tables as `quote_ident` writes them
 */
export async function placesLeftBehind(connection: Connection, tables: readonly string[]): Promise<readonly string[]> {
  const rows = await connection.rows(
    `WITH named AS (SELECT to_regclass(name)::oid AS oid FROM json_array_elements_text($1::json) name),
      tables AS (SELECT oid FROM named UNION SELECT relid FROM named, pg_partition_tree(named.oid)),
      owned AS (SELECT oid FROM tables UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM tables))
    ${places('own.oid IN (SELECT oid FROM owned)')} ORDER BY 1, 2`,
    [JSON.stringify(tables)],
  );
  return sentences(rows);
}

const qualified = (oid: string) => `(SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${oid})`;

/** Where and how the server keeps rows. @param condition of the relations `own` */
function places(condition: string): string {
  const name = qualified('own.oid');
  return `SELECT 'access methods of tables', ${name} || ' (' || a.amname || ')'
      FROM pg_class own JOIN pg_am a ON a.oid = own.relam
      WHERE own.relkind IN ('r', 'p', 'm') AND a.amname <> 'heap' AND ${condition}
    UNION ALL SELECT 'tablespaces of tables and indexes', ${name} || ' (' || s.spcname || ')'
      FROM pg_class own JOIN pg_tablespace s ON s.oid = own.reltablespace WHERE ${condition}`;
}

function sentences(rows: readonly (readonly (string | null)[])[]): readonly string[] {
  const kinds = new Map<string, string[]>();
  for (const [kind, name] of rows) kinds.set(kind!, [...(kinds.get(kind!) ?? []), ...(name === null ? [] : [name!])]);
  return [...kinds].map(([kind, names]) => {
    const unique = [...new Set(names)];
    const more = unique.length > mostNamed ? ` and ${unique.length - mostNamed} more` : '';
    const listed = unique.length === 0 ? '' : `: ${unique.slice(0, mostNamed).join(', ')}${more}`;
    return `${kind} are not in a backup${listed}`;
  });
}
