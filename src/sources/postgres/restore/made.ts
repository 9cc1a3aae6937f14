import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';

const tableIn = (schema: string) => `${schema}._bkp_made`;

/**
 * Records what a restore made outside of its staging schemas, in the order in which it did.
 * @param drops statements that remove it again
 */
export async function recordMade(connection: Connection, schema: string, drops: readonly string[]): Promise<void> {
  await connection.run(`CREATE TABLE ${tableIn(schema)} (number serial, drop_sql text NOT NULL)`);
  for (const sql of drops) await connection.rows(`INSERT INTO ${tableIn(schema)} (drop_sql) VALUES ($1)`, [sql]);
}

/** The restore has ended well: what it made stays. */
export async function forgetMade(connection: Connection, schema: string): Promise<void> {
  await connection.run(`DROP TABLE ${tableIn(schema)}`);
}

/** Drops the staging schemas that begin with `prefix`, and what was made beside them, unless something uses it now. */
export async function removeStaged(connection: Connection, prefix: string): Promise<void> {
  const rows = await connection.rows(
    'SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1) ORDER BY nspname',
    [prefix],
  );
  const drops: string[] = [];
  for (const [name] of rows) drops.push(...(await madeIn(connection, quoteIdent(name!))));
  if (rows.length === 0) return;
  await connection.transaction('BEGIN', async () => {
    await connection.run('SET LOCAL client_min_messages = error');
    for (const [name] of rows) await connection.run(`DROP SCHEMA ${quoteIdent(name!)} CASCADE`);
    for (const sql of drops.toReversed()) {
      await connection.run('SAVEPOINT made');
      await connection.run(`${sql}; RELEASE SAVEPOINT made`).catch(() => connection.run('ROLLBACK TO SAVEPOINT made'));
    }
  });
}

/** What {@link recordMade} recorded in a staging schema. */
export async function madeIn(connection: Connection, schema: string): Promise<readonly string[]> {
  if ((await connection.value('SELECT to_regclass($1)', [tableIn(schema)])) === undefined) return [];
  const rows = await connection.rows(`SELECT drop_sql FROM ${tableIn(schema)} ORDER BY number`);
  return rows.map(([sql]) => sql!);
}
