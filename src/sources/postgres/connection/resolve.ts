import {randomInt} from 'node:crypto';
import {readdirSync, readFileSync, statSync} from 'node:fs';
import {homedir, userInfo} from 'node:os';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {ignoredParameters, isDemand, requireKnownWords, requireNoDemand} from '../../../lib/postgres-words.ts';
import type {Environment} from './environment.ts';
import {passwordFrom} from './password-file.ts';
import {readService} from './service-file.ts';
import {type TlsFiles, type TlsMode, type TlsVersions, tlsMode} from './tls.ts';

/** Where a server listens. `host`: a name, an address, or the absolute path of a socket's folder. */
export type Endpoint = {host: string /** Replaces `host` for the connection itself. */; address?: string; port: number};

/** Which of several hosts will do. */
export type SessionWish = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';

/** Everything that a connection needs, with libpq's defaults filled in. */
export type Resolved = {
  endpoints: readonly Endpoint[];
  user: string;
  database: string;
  tls: TlsMode;
  tlsFiles: TlsFiles;
  tlsVersions: TlsVersions;
  /** `require`: the server must prove by the password that the TLS connection ends at it. */
  channelBinding: 'disable' | 'prefer' | 'require';
  negotiation: 'postgres' | 'direct';
  wish: SessionWish;
  /** 0: no limit but bkp's own. */
  connectTimeoutSeconds: number;
  options: string | undefined;
  /** The parameters as libpq's own programs take them, without a password, `host` and `port`. */
  forPrograms: Readonly<Record<string, string>>;
  /** The service that has the passphrase of the client's key: programs must read that themselves. */
  secretService?: {name: string; file: string | undefined};
  /** Undefined: none is known, and the server may need none. */
  passwordFor(endpoint: Endpoint): string | undefined;
};

/** libpq's environment variables. Source: https://www.postgresql.org/docs/18/libpq-envars.html */
const variables: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  passfile: 'PGPASSFILE',
  service: 'PGSERVICE',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslcertmode: 'PGSSLCERTMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  load_balance_hosts: 'PGLOADBALANCEHOSTS',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
};

/** The folders where servers put their sockets: Debian's and RedHat's, then PostgreSQL's own default. */
const socketFolders = ['/run/postgresql', '/var/run/postgresql', '/tmp'];

/**
 * Applies libpq's order: parameters, the service, the environment, defaults.
 * @param password of bkp's own settings; PGPASSWORD precedes it
 * @throws BkpError `USAGE` | `FILE_UNAVAILABLE`
 */
export function resolveConnection(
  parameters: Readonly<Record<string, string | undefined>>,
  {env, password, home = homedir()}: {env: Environment; password?: string | undefined; home?: string},
): Resolved {
  const service = parameters.service ?? env.PGSERVICE;
  const ofService =
    service === undefined ? new Map<string, string>() : readService(service, {file: parameters.servicefile, env, home});
  const value = (name: string): string | undefined => {
    const variable = variables[name];
    const found = parameters[name] ?? ofService.get(name) ?? (variable === undefined ? undefined : env[variable]);
    return found === '' ? undefined : found;
  };
  requireKnownNames(service, ofService.keys());
  requireNoDemand((name) => ofService.get(name), 'the service');
  requireNoDemand((name) => env[name]);
  requireKnownWords(Object.fromEntries(Object.keys(variables).map((name) => [name, value(name)])));
  const user = value('user') ?? userInfo().username;
  const database = value('dbname') ?? user;
  const files = tlsFilesOf(value, {home, passphrase: ofService.get('sslpassword')});
  // An old variable of libpq, which counts if there is no sslmode.
  const required = env.PGREQUIRESSL?.startsWith('1') ? 'require' : undefined;
  const mode = tlsMode(value('sslmode') ?? required, files.rootCertificates);
  const negotiation = value('sslnegotiation') === 'direct' ? 'direct' : 'postgres';
  if (negotiation === 'direct' && !['require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw new BkpError('USAGE', `source: sslmode=${mode} may go on without TLS, and sslnegotiation is direct`, {
      next: 'write sslmode=require, verify-ca or verify-full',
    });
  }
  const passwordFile = value('passfile') ?? join(home, '.pgpass');
  const known = ofService.get('password') ?? env.PGPASSWORD ?? password;
  return {
    endpoints: value('load_balance_hosts') === 'random' ? shuffled(endpointsOf(value)) : endpointsOf(value),
    user,
    database,
    tls: mode,
    tlsFiles: files,
    tlsVersions: {
      minVersion: value('ssl_min_protocol_version') as TlsVersions['minVersion'],
      maxVersion: value('ssl_max_protocol_version') as TlsVersions['maxVersion'],
    },
    channelBinding: (value('channel_binding') ?? 'prefer') as Resolved['channelBinding'],
    negotiation,
    wish: (value('target_session_attrs') ?? 'any') as SessionWish,
    connectTimeoutSeconds: Math.max(0, Number(value('connect_timeout') ?? 0)) || 0,
    options: value('options'),
    forPrograms: programParameters(value, {user, database}),
    ...(service !== undefined && files.passphrase !== undefined
      ? {secretService: {name: service, file: parameters.servicefile ?? env.PGSERVICEFILE}}
      : {}),
    passwordFor: ({host, port}) => known ?? passwordFrom(passwordFile, {host, port, database, user}),
  };
}

const otherNames = new Set([...ignoredParameters, 'password', 'sslpassword', 'sslcompression']);

/** A service of which libpq does not know a parameter is an error to it, and a misspelt one must not be ignored. */
function requireKnownNames(service: string | undefined, names: Iterable<string>): void {
  for (const name of names) {
    if (name !== 'service' && (Object.hasOwn(variables, name) || otherNames.has(name) || isDemand(name))) continue;
    throw new BkpError('USAGE', `source: the service ${service} sets ${JSON.stringify(name)}, which is no parameter`, {
      next: 'write parameters as libpq names them: https://www.postgresql.org/docs/current/libpq-connect.html',
    });
  }
}

function programParameters(
  value: (name: string) => string | undefined,
  {user, database}: {user: string; database: string},
): Readonly<Record<string, string>> {
  const names = [
    'sslmode',
    'sslrootcert',
    'sslcert',
    'sslkey',
    'sslcrl',
    'sslcrldir',
    'sslcertmode',
    'sslnegotiation',
    'ssl_min_protocol_version',
    'ssl_max_protocol_version',
    'channel_binding',
    'connect_timeout',
    'options',
  ];
  const pairs = names.flatMap((name) => {
    const found = value(name);
    return found === undefined ? [] : [[name, found] as const];
  });
  return {user, dbname: database, ...Object.fromEntries(pairs)};
}

function shuffled(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints
    .map((endpoint) => ({endpoint, at: randomInt(2 ** 32)}))
    .toSorted((a, b) => a.at - b.at)
    .map(({endpoint}) => endpoint);
}

function endpointsOf(value: (name: string) => string | undefined): readonly Endpoint[] {
  const addresses = value('hostaddr')?.split(',') ?? [];
  const hosts = value('host')?.split(',') ?? (addresses.length > 0 ? addresses : [defaultHost()]);
  const ports = value('port')?.split(',') ?? [];
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new BkpError('USAGE', `source: ${ports.length} ports are given for ${hosts.length} hosts`, {
      next: 'write one port for all hosts, or one for each',
    });
  }
  return hosts.map((host, at) => {
    const port = Number((ports.length > 1 ? ports[at] : ports[0]) || 5432);
    const address = addresses[at];
    return {host: host === '' ? defaultHost() : host, port, ...(address ? {address} : {})};
  });
}

function defaultHost(): string {
  return socketFolders.find((folder) => statSync(folder, {throwIfNoEntry: false})?.isDirectory()) ?? 'localhost';
}

function tlsFilesOf(
  value: (name: string) => string | undefined,
  {home, passphrase}: {home: string; passphrase: string | undefined},
): TlsFiles {
  const usual = (name: string) => join(home, '.postgresql', name);
  const root = value('sslrootcert');
  const sendsNone = value('sslcertmode') === 'disable';
  const certificate = sendsNone ? undefined : textOf(value('sslcert'), usual('postgresql.crt'));
  const key = sendsNone ? undefined : textOf(value('sslkey'), usual('postgresql.key'));
  if (certificate !== undefined && key === undefined) {
    throw new BkpError('USAGE', 'source: there is a client certificate, but not its private key', {
      next: `write sslkey=FILE, or put the key into ${usual('postgresql.key')}`,
    });
  }
  return {
    rootCertificates: root === 'system' ? 'system' : textOf(root, usual('root.crt')),
    certificate,
    key,
    passphrase,
    revoked: revokedIn(value, usual('root.crl')),
  };
}

/** As OpenSSL finds them in a folder, by the hash of who signed them: `4a6481c9.r0`. */
function revokedIn(value: (name: string) => string | undefined, usual: string): readonly string[] {
  const folder = value('sslcrldir');
  const named = value('sslcrl');
  // Without either, libpq reads the usual file; with a folder alone, nothing but that.
  const one = folder !== undefined && named === undefined ? undefined : textOf(named, usual);
  return [...(one === undefined ? [] : [one]), ...(folder === undefined ? [] : listsIn(folder))];
}

function listsIn(folder: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new BkpError('FILE_UNAVAILABLE', `source: the folder ${folder} of sslcrldir cannot be read`, {
      cause: error,
      next: `ls -ld '${folder}'`,
    });
  }
  const lists = names.filter((name) => /^[0-9a-f]{8}\.r\d+$/u.test(name));
  if (lists.length > 0) return lists.map((name) => textOf(join(folder, name), '')!);
  // To libpq, no certificate is good then.
  throw new BkpError('USAGE', `source: the folder ${folder} of sslcrldir has no revocation list`, {
    cause: 'OpenSSL finds them by names like 4a6481c9.r0',
    next: `openssl rehash '${folder}'`,
  });
}

/** @throws BkpError `FILE_UNAVAILABLE` for a file that was named; the usual one need not exist */
function textOf(named: string | undefined, usual: string): string | undefined {
  try {
    return readFileSync(named ?? usual, 'utf8');
  } catch (error) {
    if (named === undefined) return undefined;
    throw new BkpError('FILE_UNAVAILABLE', `source: the file ${named} cannot be read`, {
      cause: error,
      next: `ls -l '${named}'`,
    });
  }
}
