import type {Connection, Row} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {workOrLeave} from './later.ts';
import {join, leave} from './living-parents.ts';

/**
 * Makes a generated column a plain one, in a table from which no other one inherits it and in all that do.
 * @param table qualified and quoted
 */
export async function dropExpression(connection: Connection, table: string, column: string): Promise<void> {
  const drop = (of: string) =>
    connection.run(`ALTER TABLE ${of} ALTER ${quoteIdent(column)} DROP EXPRESSION IF EXISTS`);
  if (await workOrLeave(connection, () => drop(table))) return;
  // The server refuses it where a child has children (as of version 18): they leave their parents meanwhile.
  const edges = await connection.rows(
    `WITH RECURSIVE below (oid, parent) AS (
      SELECT inhrelid, inhparent FROM pg_inherits WHERE inhparent = $1::text::regclass
      UNION SELECT i.inhrelid, i.inhparent FROM below JOIN pg_inherits i ON i.inhparent = below.oid)
    SELECT below.parent::regclass, below.oid::regclass, pg_get_expr(c.relpartbound, c.oid)
      FROM below JOIN pg_class c USING (oid) WHERE below.parent <> $1::text::regclass`,
    [table],
  );
  const alter = async ([parent, child, bound]: Row, how: 'leave' | 'join') => {
    const leaves = how === 'leave';
    const inherits = (leaves ? leave : join)(child!, parent!);
    const belongs = `ALTER TABLE ${parent} ${leaves ? 'DETACH' : 'ATTACH'} PARTITION ${child} ${leaves ? '' : bound}`;
    await connection.run(bound === null ? inherits : belongs);
  };
  for (const edge of edges) await alter(edge, 'leave');
  for (const of of new Set([table, ...edges.map(([, child]) => child!)])) await drop(of);
  for (const edge of edges) await alter(edge, 'join');
}
