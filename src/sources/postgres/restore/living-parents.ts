import type {Connection} from '../connection/connection.ts';

/** A staged table, and a living one from which it inherits; both qualified and quoted. */
export type LivingParent = {oid: number; parent: string};

/** @param oids of staged tables */
export async function livingParents(connection: Connection, oids: readonly number[]): Promise<readonly LivingParent[]> {
  const staged = `ANY ('{${oids.join(',')}}'::oid[])`;
  const rows = await connection.rows(
    `SELECT i.inhrelid, quote_ident(n.nspname) || '.' || quote_ident(p.relname)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
    WHERE i.inhrelid = ${staged} AND NOT c.relispartition AND NOT i.inhparent = ${staged}
    ORDER BY i.inhrelid, i.inhseqno`,
  );
  return rows.map(([oid, parent]) => ({oid: Number(oid), parent: parent!}));
}

export const leave = (table: string, parent: string) => `ALTER TABLE ${table} NO INHERIT ${parent}`;
export const join = (table: string, parent: string) => `ALTER TABLE ${table} INHERIT ${parent}`;
export const isJoin = (sql: string) => /^ALTER TABLE (?:"(?:[^"]|"")*"|[^\s"])+ INHERIT /u.test(sql);
