import type {Connection} from '../connection/connection.ts';
import {nameInSql} from '../connection/quote.ts';

/**
 * @param oids of staged tables
 * @returns those that inherit from a living one, and its name, qualified and quoted, in the order of their parents
 */
export async function livingParents(
  connection: Connection,
  oids: readonly number[],
): Promise<readonly {oid: number; parent: string}[]> {
  const rows = await connection.rows(
    `SELECT i.inhrelid, i.inhparent::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhrelid = ANY ($1::oid[]) AND NOT c.relispartition AND i.inhparent <> ALL ($1::oid[])
      ORDER BY i.inhrelid, i.inhseqno`,
    [`{${oids.join(',')}}`],
  );
  return rows.map(([oid, parent]) => ({oid: Number(oid), parent: parent!}));
}

// Of a table that inherits, and one from which it does; both qualified and quoted.
export const leave = (table: string, parent: string) => `ALTER TABLE ${table} NO INHERIT ${parent}`;
export const join = (table: string, parent: string) => `ALTER TABLE ${table} INHERIT ${parent}`;
const joining = new RegExp(`^ALTER TABLE ${nameInSql} INHERIT `, 'u');
export const isJoin = (sql: string) => joining.test(sql);
