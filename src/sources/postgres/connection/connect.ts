import {isIP} from 'node:net';
import {type ConnectionOptions, checkServerIdentity} from 'node:tls';
import pg from 'pg';
import {BkpError} from '../../../errors/index.ts';
import {requireBinding} from './channel-binding.ts';
import {Connection, majorOf, pidOf, streamOf} from './connection.ts';
import {sqlState, translated} from './errors.ts';
import {LendingSocket} from './lending-socket.ts';
import type {Endpoint, Resolved, SessionWish} from './resolve.ts';
import {sessionSettings} from './session.ts';
import {isTlsFault, tlsAttempts} from './tls.ts';

/** A server that does not answer for this long is not there. */
const defaultTimeoutSeconds = 30;
/** The longest that a statement outside of bkp's transactions waits for a lock. */
export const defaultLockTimeoutSeconds = 5;
/** After a silence as long as this, the server is asked whether it is there. */
const defaultQuietMs = 30_000;
const oldestVersion = 140_000;

/** `lockTimeout`: seconds. */
export type ConnectOptions = {quietMs?: number | undefined; lockTimeout?: number | undefined};

/**
 * Connects to the first endpoint that answers and is what the address asks for.
 * @param name `application_name`, by which an administrator finds bkp's sessions
 * @throws BkpError
 */
export async function connect(
  resolved: Resolved,
  name: string,
  {quietMs = defaultQuietMs, lockTimeout = defaultLockTimeoutSeconds}: ConnectOptions = {},
): Promise<Connection> {
  const {endpoints, wish} = resolved;
  const faults: BkpError[] = [];
  // prefer-standby takes anything in a second round.
  for (const round of wish === 'prefer-standby' ? (['standby', 'any'] as const) : [wish]) {
    for (const endpoint of endpoints) {
      try {
        const connection = await connectTo(resolved, endpoint, {name, quietMs, lockTimeout});
        const fault = await unwanted(connection, round);
        if (fault === undefined) return requireVersion(connection);
        faults.push(fault);
        await connection.close();
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        // What is wrong with the password or the database is the same on every host.
        if (endpoints.length === 1) throw error;
        faults.push(error);
      }
    }
  }
  const [first] = faults;
  if (faults.length === 1) throw first!;
  throw new BkpError('SOURCE_UNAVAILABLE', `none of ${endpoints.length} hosts has database ${resolved.database}`, {
    cause: faults.map(({message, cause}) => (typeof cause === 'string' ? `${message}: ${cause}` : message)).join('; '),
    next: first?.next,
    retryable: true,
  });
}

async function connectTo(
  resolved: Resolved,
  endpoint: Endpoint,
  {name, quietMs, lockTimeout}: {name: string; quietMs: number; lockTimeout: number},
): Promise<Connection> {
  const facts = {place: placeOf(resolved, endpoint), psql: psqlOf(resolved, endpoint), endpoint};
  const attempts = tlsAttempts(resolved.tls, resolved.tlsFiles, endpoint.host, resolved.tlsVersions);
  let fault: unknown;
  for (const tls of attempts) {
    const client = clientFor(resolved, endpoint, {tls, name});
    // Node ends the process for an error event without a listener, and pg emits one if the socket breaks later.
    client.on('error', () => {});
    try {
      await client.connect();
      const {rows} = await client.query<{
        version: string;
        encoding: string;
        recovery: boolean;
        pid: number;
        path: string;
      }>({
        text: `SELECT pg_catalog.current_setting('server_version_num') AS version,
          pg_catalog.current_setting('server_encoding') AS encoding, pg_catalog.pg_is_in_recovery() AS recovery,
          pg_catalog.pg_backend_pid() AS pid, pg_catalog.current_setting('search_path') AS path`,
        query_timeout: quietMs,
      } as pg.QueryConfig);
      const {version, encoding, recovery, pid: serverPid, path} = rows[0]!;
      // Behind a pooler the session belongs to others, and would keep this.
      const isPooled = pidOf(client) !== serverPid;
      // An older server does not know all of them, and is refused by its version.
      if (!isPooled && Number(version) >= oldestVersion) {
        const text = sessionSettings({version: Number(version), lockTimeoutSeconds: lockTimeout, searchPath: path});
        await client.query({text, query_timeout: quietMs} as pg.QueryConfig);
      }
      client.removeAllListeners('error');
      const known = {...facts, version: Number(version), encoding, inRecovery: recovery};
      // A pooler invents the number of a session: all that can be asked of it is whether the server answers.
      const session = isPooled ? undefined : serverPid;
      const asked = () => isAlive(clientFor(resolved, endpoint, {tls, name}), session, quietMs);
      return new Connection(client, known, asked, {quietMs});
    } catch (error) {
      streamOf(client).destroy();
      fault ??= error;
      if (!mayTryAgain(error)) {
        fault = error;
        break;
      }
    }
  }
  throw connectionFault(fault, facts);
}

/** @param pid absent: any answer of the server will do */
async function isAlive(client: pg.Client, pid: number | undefined, timeoutMs: number): Promise<boolean> {
  client.on('error', () => {});
  try {
    await client.connect();
    const {rowCount} = await client.query({
      text: 'SELECT FROM pg_stat_activity WHERE pid = coalesce($1, pg_backend_pid())',
      values: [pid ?? null],
      query_timeout: timeoutMs,
    } as pg.QueryConfig);
    return rowCount === 1;
  } catch (error) {
    // A server that refuses, because it has no connection left, is there.
    return sqlState(error) !== undefined;
  } finally {
    streamOf(client).destroy();
  }
}

/** The next way of TLS, if the server has none that fits, or its rules demand the other one. */
function mayTryAgain(error: unknown): boolean {
  return /does not support SSL/u.test((error as Error).message) || sqlState(error) === '28000' || isTlsFault(error);
}

function connectionFault(error: unknown, facts: {place: string; psql: string}): BkpError {
  if (/password must be a/u.test((error as Error).message)) {
    return new BkpError('PRECONDITION', `database ${facts.place} asks for a password, and none is set`, {
      next: 'bkp config set source.password -, or PGPASSWORD, or a line in ~/.pgpass',
    });
  }
  return translated(error, facts);
}

function clientFor(
  resolved: Resolved,
  endpoint: Endpoint,
  {tls, name}: {tls: ConnectionOptions | undefined; name: string},
): pg.Client {
  const {user, database, connectTimeoutSeconds, options, negotiation, channelBinding} = resolved;
  const seconds = connectTimeoutSeconds === 0 ? defaultTimeoutSeconds : connectTimeoutSeconds;
  const client = new pg.Client({
    user,
    database,
    host: endpoint.address ?? endpoint.host,
    port: endpoint.port,
    password: () => resolved.passwordFor(endpoint) as string,
    ssl: tls === undefined ? false : identified(tls, endpoint.host),
    // TLS reads past it, into memory of its own.
    ...(tls === undefined ? {stream: () => new LendingSocket()} : {}),
    application_name: name,
    connectionTimeoutMillis: seconds * 1000,
    keepAlive: true,
    // A session that is idle, as that of a snapshot can be for hours, must not be forgotten by a router in between.
    keepAliveInitialDelayMillis: 30_000,
    options: options ?? '',
    enableChannelBinding: tls !== undefined && channelBinding !== 'disable',
    ...(negotiation === 'direct' && tls !== undefined ? {sslnegotiation: 'direct'} : {}),
  });
  if (channelBinding === 'require') requireBinding(client, {isEncrypted: tls !== undefined});
  return client;
}

/** The certificate must be that of the host's name, even if its address was given. */
function identified(tls: ConnectionOptions, host: string): ConnectionOptions {
  return {
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    // pg asks for the name only if it connects by it.
    ...(isIP(host) === 0 ? {servername: host} : {}),
    ...tls,
  };
}

async function unwanted(connection: Connection, wish: SessionWish): Promise<BkpError | undefined> {
  const {inRecovery, place} = connection.facts;
  const isReadOnly = async () => (await connection.value('SHOW transaction_read_only')) === 'on';
  const fits = {
    any: () => true,
    'prefer-standby': () => true,
    primary: () => !inRecovery,
    standby: () => inRecovery,
    'read-write': async () => !(await isReadOnly()),
    'read-only': isReadOnly,
  };
  if (await fits[wish]()) return undefined;
  return new BkpError('SOURCE_UNAVAILABLE', `database ${place} is not ${wish}, as the address asks`, {
    next: 'name the other host too, or change target_session_attrs',
  });
}

async function requireVersion(connection: Connection): Promise<Connection> {
  const {version, place} = connection.facts;
  if (version >= oldestVersion) return connection;
  await connection.close();
  throw new BkpError('UNSUPPORTED', `database ${place} is PostgreSQL ${majorOf(version)}`, {
    cause: 'bkp needs 14 or newer',
    next: 'upgrade the server, or back it up with pg_dump',
  });
}

export function placeOf({database}: Resolved, {host, port}: Endpoint): string {
  return `${database} at ${host}:${port}`;
}

/** Without a password. With what decides about TLS: without it, psql might connect where bkp cannot. */
export function psqlOf({user, database, forPrograms}: Resolved, {host, port}: Endpoint): string {
  const quoted = (text: string) => (/^[\w./:@-]+$/u.test(text) ? text : `'${text.replaceAll("'", "\\'")}'`);
  const tls = Object.entries(forPrograms).filter(([name]) => /^(?:ssl|channel)/u.test(name));
  const pairs = [['host', host], ['port', String(port)], ['dbname', database], ['user', user], ...tls];
  return `"${pairs.map(([name, value]) => `${name}=${quoted(value!)}`).join(' ')}"`;
}
