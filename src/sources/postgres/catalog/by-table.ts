import type {Connection, Row} from '../connection/connection.ts';

/** Each question to the server takes as long for one table as for a hundred. */
const tablesAtOnce = 1000;

/**
 * Asks once for many tables.
 * @param query its first column is the oid of the table, `$1` the array of oids
 * @returns the rows of each table in their order, without the oid
 */
export async function rowsByTable(
  connection: Connection,
  oids: readonly number[],
  query: string,
): Promise<{of(oid: number): readonly Row[]}> {
  const rowsOf = new Map<number, Row[]>();
  for (let at = 0; at < oids.length; at += tablesAtOnce) {
    for (const [oid, ...row] of await connection.rows(query, [`{${oids.slice(at, at + tablesAtOnce).join(',')}}`])) {
      const rows = rowsOf.get(Number(oid));
      if (rows === undefined) rowsOf.set(Number(oid), [row]);
      else rows.push(row);
    }
  }
  return {of: (oid) => rowsOf.get(oid) ?? []};
}
