import {createHash} from 'node:crypto';
import type {Connection, Row} from '../connection/connection.ts';
import {isComputedByOwn} from './own-functions.ts';

/** A subquery: of what a type consists, one oid a row, which may be 0. @param t the alias of its row of pg_type */
export const typesIn = (t: string) => `(
      SELECT ${t}.typelem UNION ALL SELECT ${t}.typbasetype
      UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE ${t}.oid IN (r.rngtypid, r.rngmultitypid)
      UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = ${t}.typrelid AND ${t}.typrelid <> 0
        AND a.attnum > 0 AND NOT a.attisdropped)`;

/** The types of the columns of tables, and all that they consist of. @param tables what `attrelid` must be */
const columnTypesOf = (tables: string) => `
  WITH RECURSIVE types (relid, oid) AS (
    SELECT attrelid, atttypid FROM pg_attribute WHERE attrelid ${tables} AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT types.relid, part.oid FROM types JOIN pg_type t USING (oid) CROSS JOIN LATERAL ${typesIn('t')} part (oid)
    WHERE part.oid <> 0)`;
const columnTypes = columnTypesOf('= $1');
/** Of several tables, whose oids are an array. */
export const allColumnTypes = columnTypesOf('= ANY ($1::oid[])');

/**
 * The name of a type in the table whose values are written as names of other objects, as `regclass` does: they change
 * when those are renamed, although nothing writes to the rows.
 */
export async function typeOfNames(connection: Connection, oid: number): Promise<string | undefined> {
  return connection.value(
    `${columnTypes}
    SELECT t.typname FROM types JOIN pg_type t USING (oid)
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND (t.typname ~ '^reg' OR t.typname = 'aclitem') LIMIT 1`,
    [oid],
  );
}

/** Columns whose values consist of names of tables, types and other objects, with their types. */
export async function columnsOfNames(connection: Connection, oid: number): Promise<ReadonlyMap<string, string>> {
  const columns = await connection.rows(
    `SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute
      WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    [oid],
  );
  const found = new Map<string, string>();
  for (const [number, name, type] of columns) {
    const names = await connection.value(
      `${columnTypes.replace('attnum > 0', 'attnum = $2')}
      SELECT t.typname FROM types JOIN pg_type t USING (oid)
      WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname ~ '^reg' LIMIT 1`,
      [oid, Number(number)],
    );
    if (names !== undefined) found.set(name!, type!);
  }
  return found;
}

/** @returns why rows of the table may have another text although nothing wrote to them, if so */
export async function whyUnwrittenRowsChange(connection: Connection, oid: number): Promise<string | undefined> {
  const type = await typeOfNames(connection, oid);
  return type && `its values of type ${type} change with the names of what they refer to`;
}

const historyOf = {
  tracking: "(SELECT value FROM _bkp.meta WHERE name = 'identity')",
  // A crash of any process loses the newest transactions with synchronous_commit = off, and resets the statistics.
  server: `pg_postmaster_start_time()::text || ' ' || (SELECT stats_reset FROM pg_stat_bgwriter)
    || ' ' || (SELECT stats_reset FROM pg_stat_archiver)`,
};

/**
 * Everything on which the text of a table's rows depends besides the rows themselves, and which rows are in which
 * range: as long as it is the same, a row version has the same text and is in the same range.
 * @param byBlock the ranges are blocks of the file
 * @param history what shows that numbers of transactions mean the same as before: that the database has the same change
 *   tracking, or that the same process of the server runs and has not recovered from a crash of another one
 * @returns undefined if that cannot be known
 */
export async function textState(
  connection: Connection,
  oid: number,
  {byBlock, history}: {byBlock: boolean; history: 'tracking' | 'server'},
): Promise<string | undefined> {
  if ((await typeOfNames(connection, oid)) !== undefined) return undefined;
  const parts: (readonly Row[])[] = [];
  const add = async (sql: string) => void parts.push(await connection.rows(sql, [oid]));
  // Another copy of the database has other rows behind the same numbers of transactions.
  await add(`SELECT system_identifier, current_setting('server_version_num'), $1::oid,
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    ${historyOf[history]} FROM pg_control_system()`);
  // Partitions that are attached bring old rows.
  await add(`
    SELECT c.oid, c.relkind, ${byBlock ? 'pg_relation_filenode(c.oid)' : '0'}, a.attnum, a.attname, a.atttypid,
      a.atttypmod, a.attisdropped, a.attgenerated, a.xmin
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1)) ORDER BY c.oid, a.attnum`);
  await add(`${columnTypes}
    SELECT t.oid, t.typname, t.typoutput::oid, p.xmin,
      (SELECT string_agg(e.enumlabel, chr(1) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
      (SELECT string_agg(a.atttypid || ' ' || a.attisdropped, chr(1) ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0),
      (SELECT x.extversion FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    FROM types JOIN pg_type t USING (oid) JOIN pg_proc p ON p.oid = t.typoutput ORDER BY t.oid`);
  // What decides how keys compare. A new version of a collation may order them in another way.
  const ofDatabase = "c.collprovider = 'd'";
  const version =
    connection.facts.version >= 150_000
      ? `CASE WHEN ${ofDatabase} THEN (SELECT pg_database_collation_actual_version(oid) FROM pg_database
          WHERE datname = current_database()) ELSE pg_collation_actual_version(c.oid) END`
      : 'pg_collation_actual_version(c.oid)';
  await add(`
    SELECT i.indexrelid, i.indkey, i.indclass, i.indcollation, (
      SELECT string_agg(concat_ws(' ', c.oid, c.collprovider, ${version}), ',' ORDER BY c.oid)
      FROM pg_collation c WHERE c.oid = ANY (i.indcollation::oid[]))
    FROM pg_index i WHERE i.indrelid = $1 AND i.indisprimary`);
  // Backups of older versions lack their values.
  const taken = await connection.rows(
    `SELECT a.attname FROM pg_attribute a WHERE a.attrelid = $1 AND NOT a.attisdropped AND ${isComputedByOwn('a')}
      ORDER BY a.attnum`,
    [oid],
  );
  if (taken.length > 0) parts.push(taken);
  if (parts.some((rows, at) => at < 3 && rows.length === 0)) return undefined;
  const [foreign] = parts[1]!.filter(([, kind]) => kind === 'f');
  if (foreign !== undefined) return undefined;
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
