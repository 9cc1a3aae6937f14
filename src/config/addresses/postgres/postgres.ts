import {requireKnownWords} from '../../../lib/postgres-words.ts';
import {absolutePath} from '../absolute-path.ts';
import {type SourceSyntax, sourceFault} from '../source-syntax.ts';
import {parseConninfo} from './conninfo.ts';
import {isParameter, type ParameterName, ParameterReader, type Parameters, parameterNames} from './parameters.ts';
import {parsePostgresUrl, postgresUrl} from './url.ts';

export type PostgresAddress = {
  scheme: 'postgres';
  /** As the user wrote them. What is absent comes from the environment and the service file when bkp connects. */
  parameters: Parameters;
  /** Folder of pg_dump and pg_restore; absent: they are searched for. */
  pgBin?: string;
  /** Seconds to wait for a lock of a table; default 5. */
  lockTimeout?: number;
  /** How many connections read or load rows at the same time; default 2. */
  connections?: number;
  /** Default `auto`. */
  tracking?: TrackingMode;
};

const example = 'postgres://user@host/database';
const ownSettings = ['url', 'pgBin', 'lockTimeout', 'connections', 'tracking'] as const;
const trackingModes = ['auto', 'triggers', 'scan'] as const;
type TrackingMode = (typeof trackingModes)[number];
/** Files: a relative path starts from the working directory. */
const pathParameters: readonly ParameterName[] = [
  'passfile',
  'servicefile',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslcrl',
  'sslcrldir',
];

export const postgresSyntax: SourceSyntax<PostgresAddress> = {
  example,
  keys: [...ownSettings, ...parameterNames],

  fromSettings(values, cwd) {
    const url = values.get('url');
    const others = [...values].filter(([key]) => isParameter(key));
    if (url !== undefined && others.length > 0) {
      throw sourceFault(`url and ${others[0]![0]} cannot both be set`, `put ${others[0]![0]} into the url, after ?`);
    }
    return {
      ...addressOf(url === undefined ? fromPairs(others) : fromText(url), cwd),
      ...ownSettingsOf(values, cwd),
    };
  },

  fromUrl({rest}, cwd) {
    return addressOf(parsePostgresUrl(rest), cwd);
  },

  describe({parameters, pgBin, lockTimeout, connections, tracking}) {
    const url = postgresUrl(parameters);
    const own = Object.entries({pgBin, lockTimeout, connections, tracking}).filter(([, value]) => value !== undefined);
    return own.length === 0
      ? url
      : `postgres::url=${url.replaceAll(';', '%3B')};${own.map(([key, value]) => `${key}=${value}`).join(';')}`;
  },
};

/** Reads libpq's `host=… dbname=…`. @throws BkpError `USAGE` */
export function postgresAt(conninfo: string, cwd: string): PostgresAddress {
  return addressOf(parseConninfo(conninfo), cwd);
}

function fromText(url: string): Parameters {
  const found = /^postgres(?:ql)?:(.*)$/su.exec(url);
  if (found === null) throw sourceFault('url is not the URL of a PostgreSQL database', `write url=${example}`);
  return parsePostgresUrl(found[1]!);
}

function fromPairs(pairs: readonly (readonly [string, string])[]): Parameters {
  const reader = new ParameterReader();
  for (const [name, value] of pairs) reader.set(name, value);
  return reader.values();
}

function addressOf(parameters: Parameters, cwd: string): PostgresAddress {
  requireValues(parameters);
  const paths = pathParameters.flatMap((name) => {
    const value = parameters[name];
    if (value === undefined || (name === 'sslrootcert' && value === 'system')) return [];
    return [[name, absolutePath(value, cwd, `source: ${name}`)] as const];
  });
  return {scheme: 'postgres', parameters: {...parameters, ...Object.fromEntries(paths)}};
}

function requireValues(parameters: Parameters): void {
  requireKnownWords(parameters);
  for (const port of parameters.port?.split(',') ?? []) {
    if (port === '' || (/^\d+$/u.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) continue;
    throw sourceFault(`${JSON.stringify(port)} is not a port`, 'write a number from 1 to 65535');
  }
}

function ownSettingsOf(values: ReadonlyMap<string, string>, cwd: string): Partial<PostgresAddress> {
  const pgBin = values.get('pgBin');
  const lockTimeout = wholeNumber(values, 'lockTimeout', 3600);
  const connections = wholeNumber(values, 'connections', 16);
  const tracking = values.get('tracking');
  if (tracking !== undefined && !isTrackingMode(tracking)) {
    throw sourceFault(`tracking cannot be ${JSON.stringify(tracking)}`, `write one of ${trackingModes.join(', ')}`);
  }
  return {
    ...(tracking === undefined ? {} : {tracking}),
    ...(pgBin === undefined ? {} : {pgBin: absolutePath(pgBin, cwd, 'source: pgBin')}),
    ...(lockTimeout === undefined ? {} : {lockTimeout}),
    ...(connections === undefined ? {} : {connections}),
  };
}

const isTrackingMode = (text: string): text is TrackingMode => (trackingModes as readonly string[]).includes(text);

function wholeNumber(values: ReadonlyMap<string, string>, key: string, most: number): number | undefined {
  const text = values.get(key);
  if (text === undefined) return undefined;
  if (/^[1-9]\d*$/u.test(text) && Number(text) <= most) return Number(text);
  throw sourceFault(`${key} is not a number from 1 to ${most}`, `write ${key}=5`);
}
