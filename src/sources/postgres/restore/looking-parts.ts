import {objectKey} from '../catalog/depends.ts';
import {members} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import type {LookingFunctions} from '../schema/looking-functions.ts';

/**
 * What generated columns and the keys of partitions look at by functions, when a row comes.
 * @param table in a staging schema
 * @returns names of tables, without schemas; undefined without such columns and keys
 */
export async function generatedFrom(
  connection: Connection,
  looking: LookingFunctions,
  table: {oid: number},
): Promise<ReadonlySet<string> | undefined> {
  const own = await connection.rows(`WITH ${members([table])} SELECT 'pg_class'::regclass::oid, oid FROM member`);
  const keys = new Set(own.map(([classOid, oid]) => objectKey(classOid!, oid!)));
  const computing = await connection.rows(
    `WITH ${members([table])}
    SELECT 'pg_attrdef'::regclass::oid, d.oid FROM member m JOIN pg_attrdef d ON d.adrelid = m.oid
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated = 's'
    UNION ALL SELECT d.refclassid, d.refobjid FROM member m JOIN pg_depend d
      ON d.classid = 'pg_class'::regclass AND d.objid = m.oid AND d.refclassid = 'pg_proc'::regclass`,
  );
  const from = computing.flatMap(([classOid, oid]) => looking.lookedAtBy(objectKey(classOid!, oid!), keys) ?? []);
  return from.length === 0 ? undefined : new Set(from.flatMap((tables) => [...tables]));
}
