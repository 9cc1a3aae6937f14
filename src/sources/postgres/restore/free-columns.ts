import type {Connection} from '../connection/connection.ts';

/**
 * Columns of a table whose values cannot be read yet, with types that take their text: the type below a domain if that
 * need not wait, otherwise `text`.
 * @param waits whether values of a type have to wait; with the oid of the type
 */
export async function freeColumns(
  connection: Connection,
  table: {oid: number},
  waits: (type: string) => boolean,
): Promise<ReadonlyMap<string, string>> {
  const columns = await connection.rows(
    `WITH RECURSIVE below (number, type) AS (
      SELECT attnum, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
        AND attgenerated = ''
      UNION ALL SELECT b.number, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
    SELECT a.attname, a.atttypid, b.type, format_type(b.type, CASE t.typtype
      WHEN 'd' THEN (SELECT max(d.typtypmod) FROM pg_type d WHERE d.typbasetype = b.type AND d.oid IN
        (SELECT c.type FROM below c WHERE c.number = b.number)) ELSE a.atttypmod END)
    FROM below b JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = b.number
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type base ON base.oid = b.type AND base.typtype <> 'd'
    ORDER BY b.number`,
    [table.oid],
  );
  const found = new Map<string, string>();
  for (const [name, type, base, written] of columns) {
    if (waits(type!)) found.set(name!, waits(base!) ? 'text' : written!);
  }
  return found;
}
