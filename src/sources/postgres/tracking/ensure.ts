import {createHash} from 'node:crypto';
import {setTimeout as pause} from 'node:timers/promises';
import {BkpError} from '../../../errors/index.ts';
import {columnsOf} from '../catalog/columns.ts';
import {withLockHolder} from '../catalog/lock-holder.ts';
import type {Relation} from '../catalog/relations.ts';
import type {Connection} from '../connection/connection.ts';
import {quoteIdent} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';
import {isTracking} from './marks.ts';
import {
  dropTableObjects,
  type LoggedColumn,
  logObject,
  logOf,
  seenQuery,
  sharedObjects,
  strayTriggersQuery,
  type TrackedTable,
  trackingVersion,
  triggerObjects,
} from './objects.ts';

const lockTries = 5;

/** The shared objects of tracking, created if they are missing. */
export async function ensureShared(connection: Connection): Promise<void> {
  await connection.transaction('BEGIN', async () => {
    await fixSettings(connection, {lockTimeoutSeconds: 30});
    // Two backups may begin at the same time.
    await connection.run('SELECT pg_catalog.pg_advisory_xact_lock(7213004)');
    if (!(await isTracking(connection))) await connection.run(sharedObjects);
  });
}

/**
 * Makes tracking of a table what it must be. It must be called before the mark is set: what was changed without a
 * trigger until then is noticed by the witness, and from then on the log is complete.
 * @returns whether something had to be made
 * @throws BkpError `SOURCE_LOCKED` | `PRECONDITION`
 */
export async function ensureTracked(
  connection: Connection,
  relation: Relation,
  {lockTimeoutSeconds, pauseMs = 1000}: {lockTimeoutSeconds: number; pauseMs?: number},
): Promise<boolean> {
  for (let left = lockTries; ; left--) {
    try {
      return await connection.transaction('BEGIN', async () => {
        await fixSettings(connection, {lockTimeoutSeconds});
        return trackInTransaction(connection, relation);
      });
    } catch (error) {
      if (!(error instanceof BkpError) || error.code !== 'SOURCE_LOCKED' || left === 1)
        throw await withLockHolder(connection, error, {
          oids: [relation.oid],
          mode: 'SHARE ROW EXCLUSIVE',
          cause: 'change tracking is set up between two transactions of writers',
        });
      await pause(pauseMs * (lockTries - left + 1));
    }
  }
}

/**
 * The same in a transaction of the caller.
 * @throws BkpError `BUSY` when it is no longer the table that was listed
 */
export async function trackInTransaction(connection: Connection, relation: Relation): Promise<boolean> {
  const {table, made} = await wantedOf(connection, relation);
  if (await isTracked(connection, table.oid, made)) return false;
  await connection.run(`LOCK TABLE ONLY ${table.name} IN SHARE ROW EXCLUSIVE MODE`);
  await requireUnchanged(connection, relation, {table, made});
  await connection.run('SET LOCAL client_min_messages = error');
  await connection.run(dropTableObjects(table.oid));
  for (const [stray] of await connection.rows(strayTriggersQuery(table.oid))) {
    await connection.run(`DROP TRIGGER ${quoteIdent(stray!)} ON ${table.name}`);
  }
  await connection.run(logObject(table));
  const log = await connection.value(`SELECT '${logOf(table.oid)}'::regclass::oid`);
  await connection.run(triggerObjects(table, Number(log)));
  await giveToOwner(connection, table.oid);
  await connection.rows(
    `INSERT INTO _bkp.tracked SELECT $1, $2, (${seenQuery(table.oid)})
      ON CONFLICT (rel) DO UPDATE SET made = excluded.made, seen = excluded.seen`,
    [table.oid, made],
  );
  return true;
}

/**
 * All of tracking belongs to the role that set it up first, whichever of its members made a part: the functions run
 * with the owner's rights, and every backup trims the logs.
 */
async function giveToOwner(connection: Connection, oid: number): Promise<void> {
  const statements = await connection.rows(`
    SELECT format('ALTER %s OWNER TO %I', object, pg_get_userbyid(nspowner)) FROM pg_namespace n, LATERAL (
      SELECT 'TABLE ' || c.oid::regclass, c.relowner FROM pg_class c WHERE c.oid = to_regclass('${logOf(oid)}')
      UNION ALL SELECT 'FUNCTION ' || p.oid::regprocedure, p.proowner FROM pg_proc p
        WHERE p.pronamespace = n.oid AND p.proname ~ '^log_${oid}_') made (object, owner)
    WHERE n.nspname = '_bkp' AND made.owner <> n.nspowner`);
  for (const [statement] of statements) await connection.run(statement!);
}

/** Until the lock, its key may have been changed or dropped, and its name have become that of another table. */
async function requireUnchanged(
  connection: Connection,
  relation: Relation,
  {table, made}: {table: TrackedTable; made: string},
): Promise<void> {
  const named = await connection.value('SELECT to_regclass($1)::oid', [table.name]);
  const isSame = Number(named) === table.oid && (await wantedOf(connection, relation)).made === made;
  if (isSame && table.key.length > 0) return;
  throw new BkpError('BUSY', `the key or the name of ${relation.name} was changed while the backup began`, {
    next: 'give the statement again',
    context: {table: relation.name},
    retryable: true,
  });
}

/** The table as its tracking must be made, and a hash of that. */
async function wantedOf(
  connection: Connection,
  {oid, schema, table}: Relation,
): Promise<{table: TrackedTable; made: string}> {
  const key = await loggedColumns(connection, oid);
  const inherits = await connection.value(
    'SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = $1 OR inhparent = $1)',
    [oid],
  );
  const kind = await connection.value('SELECT relkind FROM pg_class WHERE oid = $1', [oid]);
  const name = (await connection.value("SELECT format('%I.%I', $1::text, $2::text)", [schema, table]))!;
  const isPartitioned = kind === 'p';
  const wanted = {oid, name, key, inherits: inherits === 't' || isPartitioned, isPartitioned};
  const made = createHash('sha256')
    .update(`${trackingVersion} ${logObject(wanted)} ${triggerObjects(wanted, 0)}`)
    .digest('hex');
  return {table: wanted, made};
}

async function loggedColumns(connection: Connection, oid: number): Promise<readonly LoggedColumn[]> {
  const {key} = await columnsOf(connection, oid);
  const types = await connection.rows(
    `WITH RECURSIVE below (number, type) AS (
      SELECT attnum, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
      UNION ALL SELECT b.number, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
    )
    SELECT a.attname, a.atttypid, t.oid, format_type(t.oid, -1)
    FROM below b JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
    JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = b.number`,
    [oid],
  );
  const typeOf = new Map(types.map(([name, ...rest]) => [name, rest]));
  return key.map((column) => {
    const [typeOid, logged, type] = typeOf.get(column.name)!;
    return {...column, typeOid: Number(typeOid), logged: {type: type!, oid: Number(logged)}};
  });
}

async function isTracked(connection: Connection, oid: number, made: string): Promise<boolean> {
  const same = await connection.value(
    `SELECT made = $2 AND seen = (${seenQuery(oid)}) FROM _bkp.tracked WHERE rel = $1`,
    [oid, made],
  );
  return same === 't';
}
