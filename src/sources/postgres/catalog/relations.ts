import type {TableName} from '../../source.ts';
import type {Connection, Row} from '../connection/connection.ts';
import {isUserSchema} from './own-schemas.ts';

/** One table, as the catalog has it. */
export type Relation = {
  oid: number;
  /** `schema.table`, each part quoted if it needs to be: `public.orders`, `"We ird".t`. */
  name: TableName;
  schema: string;
  table: string;
  /** https://www.postgresql.org/docs/18/catalog-pg-class.html */
  kind: 'table' | 'partitioned' | 'view' | 'materialized view' | 'foreign table' | 'other';
  persistence: 'permanent' | 'unlogged' | 'temporary';
  /** The table that it is a partition of. */
  partitionOf: string | undefined;
  /** One of its partitions that is a foreign table. */
  foreignPartition: string | undefined;
  /** The extension that it belongs to. */
  extension: string | undefined;
  hasPrimaryKey: boolean;
  /** From the planner's statistics; 0 if there are none. */
  bytes: number;
};

/**
 * What precedes the name of a table in a statement for its own rows: children of a table have backups of their own,
 * partitions do not.
 */
export const onlyOf = (kind: string) => (kind === 'partitioned' ? '' : 'ONLY ');

/** Relations that a user may name. */
const named = "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')";

const kinds: Readonly<Record<string, Relation['kind']>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};

const qualified = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)";
const columns = `
  c.oid, ${qualified}, n.nspname, c.relname, c.relkind, c.relpersistence,
  (SELECT quote_ident(pn.nspname) || '.' || quote_ident(p.relname) FROM pg_inherits i
    JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE i.inhrelid = c.oid AND c.relispartition),
  (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LIMIT 1),
  (SELECT quote_ident(fn.nspname) || '.' || quote_ident(f.relname) FROM pg_partition_tree(c.oid) t
    JOIN pg_class f ON f.oid = t.relid AND f.relkind = 'f' JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE c.relkind = 'p' ORDER BY 1 LIMIT 1),
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
  (SELECT coalesce(sum(pg_table_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
    + CASE WHEN c.relkind IN ('r', 'm') AND NOT c.relispartition THEN pg_table_size(c.oid) ELSE 0 END`;
const tables = 'pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';

/** For WITH: `member (root, oid)` has the tables, and the partitions of each. */
export const members = (tables: readonly Pick<Relation, 'oid'>[]): string => `
    root AS (SELECT unnest('{${tables.map(({oid}) => oid).join(',')}}'::oid[]) AS oid),
    member AS (SELECT oid AS root, oid FROM root
      UNION SELECT root.oid, t.relid FROM root, pg_partition_tree(root.oid) t)`;

/** Every relation of the user that has rows or is a view, partitions too, by name. */
export async function allRelations(connection: Connection): Promise<readonly Relation[]> {
  const rows = await connection.rows(`
    SELECT ${columns} FROM ${tables}
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND ${isUserSchema}
    ORDER BY (${qualified}) COLLATE "C"`);
  return rows.map(relationOf);
}

/**
 * Names of the user's tables, as `describe('all')` has them, without what it costs to know more: partitions are a part
 * of their table, and tables of extensions come with these.
 */
export async function ownTableNames(connection: Connection): Promise<readonly TableName[]> {
  const rows = await connection.rows(`
    SELECT ${qualified} FROM ${tables}
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition AND ${isUserSchema}
      AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`);
  return rows.map(([name]) => name!);
}

/**
 * The relation that a name means: `schema.table` as it is or as the server quotes it, or a table that the search path
 * of the role finds; then the same in lower case, as SQL folds a name without quotes. What the server quotes in this
 * way comes first: a table may be called `"z.b"`.
 * @param name in the database's own spelling or as a user wrote it
 */
export async function findRelation(connection: Connection, name: string): Promise<Relation | undefined> {
  const rows = await connection.rows(
    `
    SELECT ${columns} FROM ${tables}, (VALUES ($1::text, 0), (lower($1), 1)) AS wanted (name, rank)
    WHERE ${named}
      AND (wanted.name IN (n.nspname || '.' || c.relname, ${qualified})
        OR (wanted.name IN (c.relname, quote_ident(c.relname)) AND pg_table_is_visible(c.oid)))
    ORDER BY wanted.rank, wanted.name <> ${qualified}, n.nspname ~ '^pg_', 2 LIMIT 1`,
    [name],
  );
  return rows[0] === undefined ? undefined : relationOf(rows[0]);
}

/**
 * As {@link findRelation}, for many names: those as the server quotes them are found by one query, which each of them
 * would take as long as.
 * @returns by the names that were given; without those that mean nothing
 */
export async function findRelations(
  connection: Connection,
  names: readonly string[],
): Promise<ReadonlyMap<string, Relation>> {
  const rows = await connection.rows(
    `SELECT ${columns} FROM ${tables}
      WHERE ${named} AND ${qualified} IN (SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json))`,
    [JSON.stringify(names)],
  );
  const found = new Map(rows.map(relationOf).map((relation) => [relation.name, relation]));
  for (const name of names) {
    const relation = found.has(name) ? undefined : await findRelation(connection, name);
    if (relation !== undefined) found.set(name, relation);
  }
  return found;
}

function relationOf(row: Row): Relation {
  const [oid, name, schema, table, kind, persistence, partitionOf, extension, foreignPartition, hasPrimaryKey, bytes] =
    row;
  return {
    oid: Number(oid),
    name: name!,
    schema: schema!,
    table: table!,
    kind: kinds[kind!] ?? 'other',
    persistence: persistence === 'u' ? 'unlogged' : persistence === 't' ? 'temporary' : 'permanent',
    partitionOf: partitionOf ?? undefined,
    extension: extension ?? undefined,
    foreignPartition: foreignPartition ?? undefined,
    hasPrimaryKey: hasPrimaryKey === 't',
    bytes: Number(bytes),
  };
}
