import type {Connection} from '../connection/connection.ts';

/**
 * What has no definitions that a dump of a schema has: values and their statistics, subscriptions, what belongs to the
 * server and not to the database. Names of roles, and user mappings, are read through views below, because only
 * superusers can read their catalogs.
 */
const leftOut = [
  ...['pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_largeobject_metadata'],
  ...['pg_subscription', 'pg_subscription_rel', 'pg_replication_origin'],
  ...['pg_authid', 'pg_auth_members', 'pg_shdepend', 'pg_shdescription', 'pg_shseclabel', 'pg_user_mapping'],
];

/** What VACUUM and ANALYZE write in place, without a transaction of their own: `xmin` stays. */
const columnsLeftOut: Readonly<Record<string, readonly string[]>> = {
  pg_class: ['relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid', 'relminmxid'],
  pg_database: ['datfrozenxid', 'datminmxid'],
};

const ownDatabase = '(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())';
const isPermanent = (column: string) => `${column} NOT IN (SELECT oid FROM temporary)`;
const isInPermanentSchema = (column: string) => `${column} NOT IN (SELECT oid FROM temporary_schema)`;

/** Which rows count. Temporary tables and views come and go, and no backup has them. */
const conditions: Readonly<Record<string, string>> = {
  pg_namespace: isInPermanentSchema('t.oid'),
  pg_class: isInPermanentSchema('t.relnamespace'),
  pg_type: isInPermanentSchema('t.typnamespace'),
  pg_constraint: isInPermanentSchema('t.connamespace'),
  pg_attribute: isPermanent('t.attrelid'),
  pg_attrdef: isPermanent('t.adrelid'),
  pg_index: isPermanent('t.indrelid'),
  pg_sequence: isPermanent('t.seqrelid'),
  pg_inherits: isPermanent('t.inhrelid'),
  pg_depend: `NOT EXISTS (SELECT FROM temporary_object o WHERE o.class = t.classid AND o.oid = t.objid)`,
  pg_trigger: isPermanent('t.tgrelid'),
  // Those of the server's views are in no backup, and their trees are long.
  pg_rewrite: `t.ev_class >= 16384 AND ${isPermanent('t.ev_class')}`,
  pg_database: 't.datname = pg_catalog.current_database()',
  pg_db_role_setting: `t.setdatabase IN (0, ${ownDatabase})`,
};

/**
 * Beside catalogs: who owns what, and the server's settings that may change how it writes an expression. Those of
 * extensions are there once a session has loaded them.
 */
const others = [
  "SELECT 'role', ROW(oid, rolname)::text FROM pg_catalog.pg_roles",
  "SELECT 'mapping', ROW(umid, srvid, umuser, umoptions)::text FROM pg_catalog.pg_user_mappings",
  `SELECT 'setting', ROW(name, reset_val)::text FROM pg_catalog.pg_settings
    WHERE (context IN ('user', 'superuser') AND name NOT LIKE '%.%') OR name IN ('server_version', 'server_encoding')`,
];

const temporary = `
  temporary_schema AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_'),
  temporary AS (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace IN (SELECT oid FROM temporary_schema)),
  temporary_object (class, oid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, oid FROM temporary
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid FROM pg_catalog.pg_type
      WHERE typnamespace IN (SELECT oid FROM temporary_schema)
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, oid FROM pg_catalog.pg_attrdef
      WHERE adrelid IN (SELECT oid FROM temporary)
    UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, oid FROM pg_catalog.pg_constraint
      WHERE connamespace IN (SELECT oid FROM temporary_schema)
    UNION ALL SELECT 'pg_catalog.pg_rewrite'::regclass, oid FROM pg_catalog.pg_rewrite
      WHERE ev_class IN (SELECT oid FROM temporary)
    UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, oid FROM pg_catalog.pg_trigger
      WHERE tgrelid IN (SELECT oid FROM temporary))`;

/**
 * A hash of all catalogs of the database: as long as it is the same, so is everything that pg_dump writes of the schema
 * for the same role, and what depends on what. Each row counts with all of its columns and with the transaction that
 * wrote it, also in catalogs that only a newer server has: what does not count is listed. To be called in a transaction
 * with {@link fixSettings}, on which texts depend.
 * @returns undefined if the role cannot read all of it
 */
export async function definitionsHash(connection: Connection): Promise<string | undefined> {
  const catalogs = await connection.rows(
    `SELECT c.relname, a.attname, pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
      ORDER BY c.relname COLLATE "C", a.attnum`,
  );
  const columnsOf = new Map<string, string[]>();
  for (const [catalog, column, isReadable] of catalogs) {
    if (leftOut.includes(catalog!) || columnsLeftOut[catalog!]?.includes(column!)) continue;
    if (isReadable !== 't') return undefined;
    columnsOf.set(catalog!, [...(columnsOf.get(catalog!) ?? []), `t.${column}`]);
  }
  const queries = [...columnsOf].map(
    ([catalog, columns]) =>
      `SELECT '${catalog}', ROW(t.xmin, ${columns.join(', ')})::text FROM pg_catalog.${catalog} t
        WHERE ${conditions[catalog] ?? 'true'}`,
  );
  // What a text has of bytes counts, whatever the encoding.
  return connection.value(`WITH ${temporary}
    SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.string_agg(one, '' ORDER BY one)), 'hex') FROM (
      SELECT pg_catalog.sha256(pg_catalog.convert_to(kind || ' ' || line, 'SQL_ASCII')) AS one
      FROM (${[...queries, ...others].join('\n UNION ALL ')}) lines (kind, line) OFFSET 0) hashed`);
}
