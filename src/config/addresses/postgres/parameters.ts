import {didYouMean} from '../../../errors/index.ts';
import {ignoredParameters, isDemand, requireNoDemand} from '../../../lib/postgres-words.ts';
import {sourceFault} from '../source-syntax.ts';

/**
 * The connection parameters of libpq that bkp understands, under libpq's names.
 * Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
export const parameterNames = [
  'host',
  'hostaddr',
  'port',
  'dbname',
  'user',
  'passfile',
  'service',
  'servicefile',
  'connect_timeout',
  'options',
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
  'target_session_attrs',
  'load_balance_hosts',
] as const;
export type ParameterName = (typeof parameterNames)[number];
export type Parameters = Readonly<Partial<Record<ParameterName, string>>>;

/** Parameters that hold secrets: operations keep the text of a source. */
const secret = ['password', 'sslpassword', 'oauth_client_secret'];

/**
 * Collects parameters as they are read.
 * @throws BkpError `USAGE` for one that is unknown, a secret, or set twice
 */
export class ParameterReader {
  readonly #values: Partial<Record<ParameterName, string>> = {};

  set(name: string, value: string): void {
    if (secret.includes(name)) {
      throw sourceFault(
        `operations keep the text of the source, so a ${name} cannot be part of it`,
        name === 'sslpassword'
          ? 'write it into a section of ~/.pg_service.conf, and name that: service=prod'
          : 'bkp config set source.password -, or PGPASSWORD, or a line in ~/.pgpass',
      );
    }
    requireNoDemand((parameter) => (parameter === name ? value : undefined), 'the address');
    if (ignoredParameters.includes(name)) return;
    if (!isParameter(name)) {
      if (isDemand(name)) return;
      const near = didYouMean(name, parameterNames);
      throw sourceFault(
        `postgres has no connection parameter ${JSON.stringify(name)}`,
        near === undefined ? 'write host, port, dbname, user, sslmode, …, as psql takes them' : `did you mean ${near}?`,
      );
    }
    if (Object.hasOwn(this.#values, name)) throw sourceFault(`${name} is set twice`, 'keep one of the two');
    if (value.includes('\0')) throw sourceFault(`${name} contains a NUL character`, 'leave it out');
    this.#values[name] = value;
  }

  values(): Parameters {
    return this.#values;
  }
}

export function isParameter(name: string): name is ParameterName {
  return (parameterNames as readonly string[]).includes(name);
}
