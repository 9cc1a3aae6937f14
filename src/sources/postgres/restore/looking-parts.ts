import {objectKey} from '../catalog/depends.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import type {LookingFunctions} from '../schema/looking-functions.ts';

/** What of a table calls functions that look at other tables when a row comes. */
export type LookingParts = {
  /** Columns whose types have such checks, with types that have none. */
  columns: ReadonlyMap<string, string>;
  /** Tables, without schemas, that generated columns and the keys of partitions look at; absent without such ones. */
  generatedFrom: ReadonlySet<string> | undefined;
};

/** @param table in a staging schema */
export async function lookingPartsOf(
  connection: Connection,
  looking: LookingFunctions,
  table: {oid: number},
): Promise<LookingParts> {
  const own = await connection.rows(`WITH ${members([table])} SELECT 'pg_class'::regclass::oid, oid FROM member`);
  const keys = new Set(own.map(([classOid, oid]) => objectKey(classOid!, oid!)));
  const columns = await connection.rows(
    `WITH RECURSIVE below (number, type) AS (
      SELECT attnum, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
        AND attgenerated = ''
      UNION ALL SELECT b.number, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
    SELECT a.attname, 'pg_type'::regclass::oid, a.atttypid, b.type, format_type(b.type, CASE t.typtype
      WHEN 'd' THEN (SELECT max(d.typtypmod) FROM pg_type d WHERE d.typbasetype = b.type AND d.oid IN
        (SELECT c.type FROM below c WHERE c.number = b.number)) ELSE a.atttypmod END)
    FROM below b JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = b.number
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type base ON base.oid = b.type AND base.typtype <> 'd'
    ORDER BY b.number`,
    [table.oid],
  );
  const found = new Map<string, string>();
  for (const [name, typeClass, type, base, written] of columns) {
    if (looking.lookedAtBy(objectKey(typeClass!, type!)) === undefined) continue;
    const isFree = looking.lookedAtBy(objectKey(typeClass!, base!)) === undefined;
    found.set(name!, isFree ? written! : 'text');
  }
  const computing = await connection.rows(
    `WITH ${members([table])}
    SELECT 'pg_attrdef'::regclass::oid, d.oid FROM member m JOIN pg_attrdef d ON d.adrelid = m.oid
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated = 's'
    UNION ALL SELECT d.refclassid, d.refobjid FROM member m JOIN pg_depend d
      ON d.classid = 'pg_class'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_proc'::regclass`,
  );
  const from = computing.flatMap(([classOid, oid]) => looking.lookedAtBy(objectKey(classOid!, oid!), keys) ?? []);
  return {
    columns: found,
    generatedFrom: from.length === 0 ? undefined : new Set(from.flatMap((tables) => [...tables])),
  };
}
