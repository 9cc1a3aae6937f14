import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import {isTrackingSchema, stagingForm} from '../catalog/own-schemas.ts';
import type {Connection} from '../connection/connection.ts';
import type {Resolved} from '../connection/resolve.ts';
import {type Entry, entriesOf} from './entries.ts';
import {withExactNames} from './exact-names.ts';
import type {Programs} from './programs.ts';
import {startProgram} from './run-program.ts';

export type DumpOptions = {
  resolved: Resolved;
  /** Those that can read the server. @throws BkpError `PRECONDITION` */
  programs: () => Promise<Programs>;
  /** PATH and what programs of libpq read. */
  env: Readonly<Record<string, string | undefined>>;
  lockTimeoutSeconds: number;
  /** Tables that are not dumped, and so not locked: patterns as pg_dump takes them. */
  without: readonly string[];
  signal?: AbortSignal | undefined;
};

/**
 * The schema of a database as pg_dump's entries with their dependencies, in the order in which they can be created.
 * pg_dump knows every kind of object of its server; nothing else is as faithful. It locks the tables itself, so the
 * caller must hold no lock of them: a TRUNCATE that waits for the caller would make pg_dump wait for ever.
 * @throws BkpError `PRECONDITION` without a suitable pg_dump | `SOURCE_LOCKED` | `SOURCE_UNAVAILABLE`
 */
export async function dumpSchema(connection: Connection, options: DumpOptions): Promise<readonly Entry[]> {
  const isTracking =
    (await connection.value(`SELECT EXISTS (SELECT FROM pg_namespace n WHERE ${isTrackingSchema})`)) === 't';
  const entries = await connection.whileAlive((alive) => {
    const signal = AbortSignal.any([alive, ...(options.signal ? [options.signal] : [])]);
    return dump(connection, {...options, isTracking, signal});
  });
  return withExactNames(connection, entries);
}

async function dump(
  connection: Connection,
  options: DumpOptions & {isTracking: boolean; signal: AbortSignal},
): Promise<readonly Entry[]> {
  const {resolved, env, signal} = options;
  const {endpoint} = connection.facts;
  const {folder} = await options.programs();
  const {PGSERVICE: _, ...others} = env;
  const password = resolved.passwordFor(endpoint);
  // Its arguments are visible to every user of the machine: the password is not among them.
  const programEnv = {
    ...others,
    PGHOST: endpoint.host,
    PGPORT: String(endpoint.port),
    ...(endpoint.address === undefined ? {} : {PGHOSTADDR: endpoint.address}),
    ...(password === undefined ? {} : {PGPASSWORD: password}),
    ...(resolved.secretService?.file === undefined ? {} : {PGSERVICEFILE: resolved.secretService.file}),
    PGAPPNAME: 'bkp pg_dump',
    LC_MESSAGES: 'C',
  };
  const how = {env: programEnv, signal};
  const dumping = startProgram(join(folder, 'pg_dump'), argumentsOf(options, connection), how, {keep: false});
  // Its messages are those of the comments, one for each entry.
  const script = startProgram(join(folder, 'pg_restore'), ['--verbose', '--file=-'], how, {keep: true});
  dumping.stdout.pipe(script.stdin);
  // What pg_restore does not read any more would keep pg_dump waiting.
  script.stdin.on('error', () => dumping.stdout.resume());
  const [dumped, restored] = await Promise.all([dumping.ended, script.ended]);
  signal.throwIfAborted();
  if (dumped.fault !== undefined) throw dumpFault(dumped.stderr || dumped.fault, connection);
  if (restored.fault !== undefined) throw dumpFault(restored.fault, connection);
  return entriesOf(restored.stdout.toString().replace(/\n$/u, ''));
}

function argumentsOf(
  {resolved, lockTimeoutSeconds, without, isTracking}: DumpOptions & {isTracking: boolean},
  {facts: {encoding, endpoint}}: Connection,
): readonly string[] {
  const {secretService} = resolved;
  // A service precedes the variables that name the server.
  const server = {
    host: endpoint.host,
    port: String(endpoint.port),
    ...(endpoint.address ? {hostaddr: endpoint.address} : {}),
  };
  const ofService = secretService === undefined ? {} : {service: secretService.name, ...server};
  const parameters: Readonly<Record<string, string>> = {...ofService, ...resolved.forPrograms};
  const conninfo = Object.entries(parameters)
    .map(([name, value]) => `${name}='${value.replaceAll(/['\\]/gu, '\\$&')}'`)
    .join(' ');
  return [
    '--schema-only',
    '--format=custom',
    '--compress=0',
    '--no-publications',
    '--no-subscriptions',
    `--exclude-schema=${stagingForm}`,
    ...(isTracking ? ['--exclude-schema=_bkp'] : []),
    // The script is read as UTF-8, whatever the encoding of the database.
    ...(encoding === 'SQL_ASCII' ? [] : ['--encoding=UTF8']),
    `--lock-wait-timeout=${lockTimeoutSeconds * 1000}`,
    ...without.map((pattern) => `--exclude-table=${pattern}`),
    `--dbname=${conninfo}`,
  ];
}

/** How programs of libpq report it. */
// An encoding that every server knows is "invalid" if the connection breaks when pg_dump sets it.
const lostConnection = new RegExp(
  'server closed the connection|terminating connection|connection to server|could not (?:receive|send) data|timeout|' +
    'invalid client encoding "UTF8"',
  'u',
);

function dumpFault(message: string, {facts}: Connection): BkpError {
  // The details repeat the query.
  const text = message
    .replaceAll(/^pg_dump: detail: Query was:.*/gmsu, '')
    .trim()
    .split('\n')
    .join('; ');
  if (/lock timeout|statement timeout/u.test(text)) {
    return new BkpError('SOURCE_LOCKED', `pg_dump could not lock a table of ${facts.place} in time`, {
      cause: text,
      next: 'give the statement again when the transaction that holds the lock has ended',
      retryable: true,
    });
  }
  const isLost = lostConnection.test(text);
  return new BkpError(
    'SOURCE_UNAVAILABLE',
    isLost
      ? `the connection of pg_dump to ${facts.place} broke`
      : `pg_dump could not read the schema of ${facts.place}`,
    {cause: text, next: `pg_dump -s -d ${facts.psql} shows the same`, retryable: isLost},
  );
}
