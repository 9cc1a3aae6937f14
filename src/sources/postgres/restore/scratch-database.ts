import {BkpError} from '../../../errors/index.ts';
import {type QueryEnd, tookTooLong} from '../../../lib/query-end.ts';
import type {Connection} from '../connection/connection.ts';
import {serverWords} from '../connection/errors.ts';
import {quoteIdent, quoteText} from '../connection/quote.ts';
import {fixSettings} from '../connection/session.ts';

/** Only databases that bkp made have it. */
const comment = 'a scratch database of bkp, removed at the end of a drill';

export const scratchName = (id: string) => `bkp_drill_${id}`;

/**
 * @param options.isOfSource the database of this connection is compared, so no other server can take its place
 * @throws BkpError `PRECONDITION` if the role may not create databases
 */
export async function requireCreatedb(connection: Connection, {isOfSource = false} = {}): Promise<void> {
  const [row] = await connection.rows(
    'SELECT rolcreatedb OR rolsuper, pg_is_in_recovery(), rolname FROM pg_roles WHERE rolname = current_user',
  );
  const {place} = connection.facts;
  if (row![1] === 't') {
    throw new BkpError('PRECONDITION', `${place} is a standby, on which no database can be created`, {
      next: 'name another server for the drill: bkp --source postgres://localhost/postgres sql --wait "VERIFY …"',
    });
  }
  if (row![0] === 't') return;
  const grant = `let a role that may do so execute: ALTER ROLE ${quoteIdent(row![2]!)} CREATEDB;`;
  const elsewhere = 'bkp --source postgres://localhost/postgres sql --wait "VERIFY …"';
  throw new BkpError('PRECONDITION', `the role ${row![2]} may not create a scratch database beside ${place}`, {
    next: isOfSource ? grant : `${grant} or name another server for the drill: ${elsewhere}`,
  });
}

/** Creates a database like the one that is connected: the same encoding and order of texts. Removes abandoned ones. */
export async function createScratch(connection: Connection, id: string): Promise<void> {
  await requireCreatedb(connection);
  await removeAbandoned(connection);
  const {version} = connection.facts;
  const locale = version >= 170_000 ? 'datlocale' : version >= 150_000 ? 'daticulocale' : 'NULL';
  const provider = version >= 150_000 ? 'datlocprovider' : "'c'";
  const [row] = await connection.rows(
    `SELECT pg_encoding_to_char(encoding), datcollate, datctype, ${provider}, ${locale}
      FROM pg_database WHERE datname = current_database()`,
  );
  const [encoding, collate, type, providedBy, named] = row!;
  const words = [
    'TEMPLATE template0',
    `ENCODING ${quoteText(encoding!)}`,
    `LC_COLLATE ${quoteText(collate!)}`,
    `LC_CTYPE ${quoteText(type!)}`,
    ...(providedBy === 'i' ? [`LOCALE_PROVIDER icu ICU_LOCALE ${quoteText(named!)}`] : []),
    ...(providedBy === 'b' ? [`LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteText(named!)}`] : []),
  ];
  const name = quoteIdent(scratchName(id));
  await connection.run(`CREATE DATABASE ${name} ${words.join(' ')}`);
  await connection.run(`COMMENT ON DATABASE ${name} IS ${quoteText(comment)}`);
}

export async function removeScratch(connection: Connection, id: string): Promise<void> {
  await connection.run(`DROP DATABASE IF EXISTS ${quoteIdent(scratchName(id))} WITH (FORCE)`);
}

/** A database that somebody uses is not dropped without FORCE. */
async function removeAbandoned(connection: Connection): Promise<void> {
  const rows = await connection.rows(
    `SELECT datname FROM pg_database
      WHERE datname ~ '^bkp_drill_[0-9a-f]+$' AND shobj_description(oid, 'pg_database') = $1
        AND pg_has_role(datdba, 'USAGE')`,
    [comment],
  );
  for (const [name] of rows) await connection.run(`DROP DATABASE ${quoteIdent(name!)}`).catch(() => {});
}

/**
 * Has the server check what it restored: the indexes against their tables, if its extension amcheck is there.
 * @throws BkpError `SOURCE_DAMAGED`
 */
export async function verifyRestored(
  connection: Connection,
): Promise<{checked: readonly string[]; notChecked: readonly string[]}> {
  const checked = ['PostgreSQL accepted every row, and built all indexes and constraints from the rows.'];
  try {
    await connection.run('CREATE EXTENSION IF NOT EXISTS amcheck');
  } catch (error) {
    const why = serverWords(error as Error);
    return {checked, notChecked: [`Its indexes, by amcheck, which this server or role does not have: ${why}`]};
  }
  try {
    const rows = await connection.rows(
      `SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.amname = 'btree' AND c.relkind = 'i' AND n.nspname !~ '^(pg_|information_schema)'`,
    );
    return {checked: [...checked, `amcheck found no fault in ${rows.length} indexes.`], notChecked: []};
  } catch (error) {
    throw new BkpError('SOURCE_DAMAGED', 'amcheck found a fault in the restored database', {cause: error});
  }
}

const mostShown = 200;

/** The server ended a statement at its limit, or because it was asked to. */
const cancelled = '57014';

/** Runs a query of the user, which can only read. It holds if it returns one row whose first column is true. */
export async function askRestored(
  connection: Connection,
  sql: string,
  {seconds, signal}: QueryEnd,
): Promise<{held: boolean; found: string}> {
  // The database is dropped then, which ends what still runs in it.
  const leave = () => connection.destroy();
  signal.addEventListener('abort', leave);
  try {
    return await connection.transaction('BEGIN READ ONLY', async () => {
      await fixSettings(connection, {lockTimeoutSeconds: 30});
      await connection.run('SET LOCAL search_path = DEFAULT');
      await connection.run(`SET LOCAL statement_timeout = '${seconds}s'`);
      const rows = await connection.rows(sql);
      if (rows.length !== 1) return {held: false, found: rows.length === 0 ? 'no row' : 'more than one row'};
      const [value = null] = rows[0]!;
      if (value === null) return {held: false, found: 'NULL'};
      const found = value === 't' ? 'true' : value === 'f' ? 'false' : value;
      return {held: value === 't' || Number.parseFloat(value) > 0 || Number.parseFloat(value) < 0, found: shown(found)};
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BkpError) || typeof error.context.sqlState !== 'string') throw error;
    if (error.context.sqlState === cancelled) return {held: false, found: tookTooLong(seconds)};
    // Of the server, and not of the query.
    if (error.retryable || error.code === 'SOURCE_FULL') throw error;
    return {held: false, found: `an error: ${serverWords(error)}`};
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

const shown = (text: string) => (text.length > mostShown ? `${text.slice(0, mostShown)}…` : text);
