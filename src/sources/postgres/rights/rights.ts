import type {TableName} from '../../source.ts';
import {isTrackingSchema} from '../catalog/own-schemas.ts';
import {members, type Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';

/** What the role may do with a table and its partitions. Names are quoted where they must be. */
export type TableRights = {
  table: TableName;
  owner: string;
  ownerIsSuperuser: boolean;
  /** Schemas, tables and sequences of which the role lacks USAGE or SELECT. */
  unreadable: {schemas: readonly string[]; tables: readonly string[]; sequences: readonly string[]};
  /** Row-level security would hide rows from the role. */
  isHidden: boolean;
  /** The role has the rights of the owner. */
  isOwned: boolean;
};

/** What the role may do in the database. */
export type DatabaseRights = {
  /** Quoted. */
  role: string;
  /** Quoted. */
  database: string;
  /** Whether change tracking can be created, or the owner of the schema that has it already. */
  mayCreate: boolean;
  /** The owner of `_bkp`, of which the role is no member. */
  foreignOwner: string | undefined;
  /** `_bkp` is a schema of the user's. */
  isNameTaken: boolean;
};

export async function rightsOn(
  connection: Connection,
  relations: readonly Relation[],
): Promise<readonly TableRights[]> {
  if (relations.length === 0) return [];
  // Not has_sequence_privilege: the server may ask it of any relation before it joins, and it fails for a table.
  const rows = await connection.rows(`
    WITH ${members(relations)},
    sequence AS (
      SELECT d.refobjid AS oid, s.oid AS sequence FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND s.relkind = 'S'
      UNION SELECT a.adrelid, s.oid FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
        JOIN pg_class s ON s.oid = d.refobjid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND s.relkind = 'S')
    SELECT m.root, quote_ident(o.rolname), o.rolsuper,
      CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN quote_ident(n.nspname) END,
      CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) END,
      (SELECT string_agg(quote_ident(sn.nspname) || '.' || quote_ident(s.relname), ', ')
        FROM sequence q JOIN pg_class s ON s.oid = q.sequence JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE q.oid = c.oid AND NOT has_table_privilege(s.oid, 'SELECT')),
      c.oid = m.root AND row_security_active(c.oid), pg_has_role(c.relowner, 'USAGE')
    FROM member m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_roles o ON o.oid = c.relowner ORDER BY m.oid`);
  return relations.map(({oid, name}) => {
    const own = rows.filter(([root]) => Number(root) === oid);
    const column = (at: number) => [...new Set(own.flatMap((row) => (row[at] === null ? [] : [row[at]!])))];
    const foreign = own.find((row) => row[7] !== 't') ?? own[0];
    return {
      table: name,
      owner: foreign?.[1] ?? '',
      ownerIsSuperuser: foreign?.[2] === 't',
      unreadable: {schemas: column(3), tables: column(4), sequences: column(5)},
      isHidden: own.some((row) => row[6] === 't'),
      isOwned: own.every((row) => row[7] === 't'),
    };
  });
}

export async function rightsIn(connection: Connection): Promise<DatabaseRights> {
  const [row] = await connection.rows(`
    SELECT quote_ident(current_user), quote_ident(current_database()),
      has_database_privilege(current_database(), 'CREATE'),
      quote_ident(pg_get_userbyid(nspowner)), pg_has_role(nspowner, 'USAGE'), own
    FROM (SELECT) one LEFT JOIN (SELECT n.nspowner, ${isTrackingSchema} AS own FROM pg_namespace n
      WHERE n.nspname = '_bkp') found ON true`);
  const [role, database, mayCreate, owner, isMember, isOwn] = row!;
  return {
    role: role!,
    database: database!,
    mayCreate: owner !== null || mayCreate === 't',
    foreignOwner: isOwn === 't' && isMember !== 't' ? owner! : undefined,
    isNameTaken: isOwn === 'f',
  };
}
