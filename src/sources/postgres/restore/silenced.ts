import type {Connection} from '../connection/connection.ts';
import {qualified, quoteIdent} from '../connection/quote.ts';

/**
 * Runs `work` in a transaction in which the application's own triggers and rules of the tables do not fire: what they
 * did when the rows were first written is part of the data. Foreign keys hold, and change tracking sees every row.
 * @param notice names what did not fire
 */
export async function withSilentTriggers<T>(
  connection: Connection,
  tables: readonly {oid: number}[],
  {notice, work}: {notice: ((text: string) => void) | undefined; work: () => Promise<T>},
): Promise<T> {
  const all = `(SELECT relid FROM unnest('{${tables.map(({oid}) => oid).join(',')}}'::oid[]) AS root (oid),
    LATERAL (SELECT relid::oid FROM pg_partition_tree(root.oid) UNION SELECT root.oid) AS part (relid))`;
  const triggers = await connection.rows(
    `SELECT n.nspname, c.relname, t.tgname, t.tgenabled, 'TRIGGER' FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.tgrelid IN ${all} AND NOT t.tgisinternal AND t.tgname !~ '^~bkp_' AND t.tgenabled IN ('O', 'A')
    UNION ALL
    SELECT n.nspname, c.relname, r.rulename, r.ev_enabled, 'RULE' FROM pg_rewrite r
      JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE r.ev_class IN ${all} AND r.ev_enabled IN ('O', 'A') ORDER BY 5, 1, 2, 3`,
  );
  for (const [schema, table, name, , kind] of triggers) {
    await connection.run(`ALTER TABLE ONLY ${qualified(schema!, table!)} DISABLE ${kind} ${quoteIdent(name!)}`);
  }
  const result = await work();
  for (const [schema, table, name, state, kind] of triggers) {
    const how = state === 'A' ? 'ENABLE ALWAYS' : 'ENABLE';
    await connection.run(`ALTER TABLE ONLY ${qualified(schema!, table!)} ${how} ${kind} ${quoteIdent(name!)}`);
    notice?.(`the ${kind!.toLowerCase()} ${name} of ${schema}.${table} did not fire`);
  }
  return result;
}
