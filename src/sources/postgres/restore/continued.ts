import type {TableContent, TableName} from '../../source.ts';
import {stagingForm} from '../catalog/own-schemas.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {removeStaged} from './made.ts';

// What a staging keeps about itself in its first schema, so that another one of the same plan can continue it.
const planIn = (schema: string) => `${schema}._bkp_plan`;
const doneIn = (schema: string) => `${schema}._bkp_done`;

/** Part of each plan: stagings of another version of bkp may have made their tables in another way. */
const format = 6;
const planText = (plan: string) => `${format} ${plan}`;

/** The session that a staging belongs to; a number alone is given to another session later. */
const ownSession = `SELECT pid, extract(epoch FROM backend_start)::text FROM pg_stat_activity
  WHERE pid = pg_backend_pid()`;
const isAlive = (staging: string) => `EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = ${staging}.pid
  AND (a.backend_start IS NULL OR extract(epoch FROM a.backend_start)::text = ${staging}.begun))`;

/** @param told notices of what the staging left out when it was made */
export async function recordPlan(
  connection: Connection,
  schema: string,
  {plan, told}: {plan: string; told: readonly string[]},
): Promise<void> {
  await connection.run(`CREATE TABLE ${planIn(schema)} (plan text, told text, pid int, begun text);
    -- Without it, a publication FOR ALL TABLES keeps rows from being changed.
    ALTER TABLE ${planIn(schema)} REPLICA IDENTITY FULL;
    CREATE TABLE ${doneIn(schema)} (name text PRIMARY KEY, rows bigint NOT NULL, hash text NOT NULL)`);
  await connection.rows(`INSERT INTO ${planIn(schema)} SELECT $1, $2, own.* FROM (${ownSession}) own`, [
    planText(plan),
    JSON.stringify(told),
  ]);
}

/** In the transaction that loads the table and builds its indexes. */
export async function recordDone(
  connection: Connection,
  schema: string,
  {name, content}: {name: TableName; content: TableContent},
): Promise<void> {
  const values = [name, content.rows, content.hash];
  await connection.rows(`INSERT INTO ${doneIn(schema)} VALUES ($1, $2, $3)`, values);
}

/** The tables become visible: nothing is left to be continued. */
export async function forgetPlan(connection: Connection, schema: string): Promise<void> {
  await connection.run(`DROP TABLE IF EXISTS ${planIn(schema)}, ${doneIn(schema)}`);
}

/** Whether a table at least is complete in what a staging left. @param prefix of its schemas */
export async function isContinuable(connection: Connection, prefix: string): Promise<boolean> {
  const done = doneIn(`${prefix}0`);
  if ((await connection.value('SELECT to_regclass($1)', [done])) === undefined) return false;
  return (await connection.value(`SELECT EXISTS (SELECT FROM ${done})`)) === 't';
}

/**
 * Ends the sessions of a staging whose process has ended: a server notices that only when it has something to send, and
 * builds an index to its end.
 */
export async function endSessions(connection: Connection, prefix: string): Promise<void> {
  const schema = `${prefix}0`;
  const isRecorded = (await connection.value('SELECT to_regclass($1)', [planIn(schema)])) !== undefined;
  const leader = isRecorded ? `UNION SELECT p.pid FROM ${planIn(schema)} p WHERE ${isAlive('p')}` : '';
  await connection.rows(
    `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()
      AND a.usename = current_user AND starts_with(a.application_name, 'bkp ') AND a.pid IN (
        SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE starts_with(n.nspname, $1)
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) ${leader})`,
    [prefix],
  );
}

/** Where the rows of a table are, qualified and quoted: in `keep`, if it exists. `only`: what precedes the name. */
export type StagedNames = {staged: string; keep: string; only: string};

export type Continued = {told: readonly string[]; done: ReadonlyMap<TableName, TableContent>};

/**
 * Takes over what an interrupted staging of the same plan left, and removes what those of other plans left. Stagings
 * whose session is there belong to somebody else.
 * @param own.prefix of the schemas, which get it
 * @param own.names where the rows of each table are
 * @returns undefined if there is nothing to continue
 */
export async function continueStaging(
  connection: Connection,
  {prefix, plan, names}: {prefix: string; plan: string; names: ReadonlyMap<TableName, StagedNames>},
): Promise<Continued | undefined> {
  let found = false;
  const others: string[] = [];
  await connection.transaction('BEGIN', async () => {
    await connection.run('SELECT pg_advisory_xact_lock(7213005)');
    for (const left of await leftStagings(connection)) {
      const schema = `${left}0`;
      const [row] = await connection.rows(`SELECT p.plan, ${isAlive('p')} FROM ${planIn(schema)} p`);
      if (row?.[1] === 't') continue;
      if (row?.[0] !== planText(plan) || found) {
        others.push(left);
        continue;
      }
      found = true;
      await endSessions(connection, left);
      await rename(connection, left, prefix);
      await connection.run(`UPDATE ${planIn(`${prefix}0`)} SET (pid, begun) = (${ownSession})`);
    }
  });
  for (const left of others) {
    await endSessions(connection, left);
    await removeStaged(connection, left);
  }
  if (!found) return undefined;
  const continued = await whatIsDone(connection, prefix, names);
  if (continued === undefined) await removeStaged(connection, prefix);
  return continued;
}

/** Prefixes of the stagings in this database of which this role may read the plan. */
async function leftStagings(connection: Connection): Promise<readonly string[]> {
  const rows = await connection.rows(`
    SELECT left(n.nspname, -1) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = '_bkp_plan' AND n.nspname ~ '^${stagingForm}$' AND n.nspname ~ '_0$'
      AND pg_has_role(n.nspowner, 'MEMBER')
    ORDER BY 1`);
  return rows.map(([prefix]) => prefix!);
}

async function rename(connection: Connection, from: string, to: string): Promise<void> {
  const rows = await connection.rows('SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1)', [from]);
  for (const [name] of rows) {
    await connection.run(`ALTER SCHEMA ${quoteIdent(name!)} RENAME TO ${quoteIdent(to + name!.slice(from.length))}`);
  }
}

/**
 * A crash of the server empties unlogged tables, so the rows are counted. Indexes of a table that is not complete, if
 * they were not made in one transaction with its rows, would be in the way.
 */
async function whatIsDone(
  connection: Connection,
  prefix: string,
  names: ReadonlyMap<TableName, StagedNames>,
): Promise<Continued | undefined> {
  const schema = `${prefix}0`;
  const told = (await connection.value(`SELECT told FROM ${planIn(schema)}`))!;
  const rows = await connection.rows(`SELECT name, rows, hash FROM ${doneIn(schema)}`);
  const done = new Map(rows.map(([name, count, hash]) => [name!, {rows: Number(count), hash: hash!}]));
  for (const [name, {staged, keep, only}] of names) {
    const content = done.get(name);
    const isLate = (await connection.value('SELECT to_regclass($1)', [keep])) !== undefined;
    const rowsIn = isLate ? keep : staged;
    const fits =
      content === undefined
        ? (await connection.value('SELECT relhasindex FROM pg_class WHERE oid = to_regclass($1)', [rowsIn])) === 'f'
        : Number(await connection.value(`SELECT count(*) FROM ${only}${rowsIn}`)) === content.rows;
    if (!fits) return undefined;
  }
  await dropForeignKeys(connection, prefix);
  return {told: JSON.parse(told) as string[], done};
}

/** They come when all tables are complete. */
async function dropForeignKeys(connection: Connection, prefix: string): Promise<void> {
  const rows = await connection.rows(
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', conrelid::regclass, conname) FROM pg_constraint
      WHERE contype = 'f' AND conparentid = 0
        AND connamespace IN (SELECT oid FROM pg_namespace WHERE starts_with(nspname, $1))`,
    [prefix],
  );
  for (const [statement] of rows) await connection.run(statement!);
}
