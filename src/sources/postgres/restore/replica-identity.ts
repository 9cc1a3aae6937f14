import type {Connection} from '../connection/connection.ts';

/**
 * Runs `work`, which deletes rows of a staged table, in a transaction. Where a publication is FOR ALL TABLES, the
 * server refuses that for a table or partition without a replica identity, and a staged one may have no key yet.
 * @param name qualified and quoted
 */
export async function withReplicaIdentity(
  connection: Connection,
  name: string,
  work: () => Promise<void>,
): Promise<void> {
  const without = await connection.rows(
    `SELECT tree.relid, CASE c.relreplident WHEN 'd' THEN 'DEFAULT' ELSE 'NOTHING' END
      FROM pg_catalog.pg_partition_tree($1::text::regclass) tree JOIN pg_catalog.pg_class c ON c.oid = tree.relid
      WHERE c.relkind = 'r' AND c.relreplident IN ('d', 'n')
        AND EXISTS (SELECT FROM pg_catalog.pg_publication WHERE puballtables)`,
    [name],
  );
  for (const [table] of without) await connection.run(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
  await work();
  for (const [table, state] of without) await connection.run(`ALTER TABLE ${table} REPLICA IDENTITY ${state}`);
}
