import {BkpError} from '../errors/index.ts';

const tlsVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** Connection parameters of libpq whose values are words. */
const words: Readonly<Record<string, readonly string[]>> = {
  sslmode: ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
  sslnegotiation: ['postgres', 'direct'],
  channel_binding: ['disable', 'prefer', 'require'],
  ssl_min_protocol_version: tlsVersions,
  ssl_max_protocol_version: tlsVersions,
  target_session_attrs: ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
  load_balance_hosts: ['disable', 'random'],
  sslcertmode: ['disable', 'allow', 'require'],
};

/**
 * Connection parameters that only libpq can do justice to, and their variables; with the values that ask for nothing
 * which bkp does not do. Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
const demands: readonly (readonly [parameter: string, variable: string | undefined, harmless: readonly string[]])[] = [
  ['require_auth', 'PGREQUIREAUTH', []],
  ['requirepeer', 'PGREQUIREPEER', []],
  ['gssencmode', 'PGGSSENCMODE', ['disable', 'prefer']],
  ['krbsrvname', 'PGKRBSRVNAME', ['postgres']],
  ['gsslib', 'PGGSSLIB', ['gssapi']],
  ['gssdelegation', 'PGGSSDELEGATION', ['0']],
  ['sslcertmode', 'PGSSLCERTMODE', ['disable', 'allow']],
  ['sslsni', 'PGSSLSNI', ['1']],
  ['sslkeylogfile', undefined, []],
  ['min_protocol_version', 'PGMINPROTOCOLVERSION', ['3.0']],
  ['max_protocol_version', 'PGMAXPROTOCOLVERSION', ['3.0', '3.2', 'latest']],
  ['replication', undefined, ['false', 'off', 'no', '0']],
  ['scram_client_key', undefined, []],
  ['scram_server_key', undefined, []],
  ['oauth_issuer', undefined, []],
  ['oauth_client_id', undefined, []],
  ['oauth_client_secret', undefined, []],
  ['oauth_scope', undefined, []],
];

/** Parameters that bkp sets itself, or that make no difference to it. */
export const ignoredParameters: readonly string[] = [
  ...['application_name', 'fallback_application_name', 'client_encoding'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
];

/** Whether a parameter of libpq is one that bkp cannot fulfil whatever it says. */
export const isDemand = (name: string): boolean => demands.some(([parameter]) => parameter === name);

/**
 * A parameter that is not honoured must not be ignored either: the connection would be another one than that of psql.
 * @param asked what the parameter, or the variable, is set to
 * @param where `the address`, `the service`; of a variable its own name
 * @throws BkpError `USAGE`
 */
export function requireNoDemand(asked: (name: string) => string | undefined, where?: string): void {
  for (const [parameter, variable, harmless] of demands) {
    const name = where === undefined ? variable : parameter;
    const value = name === undefined ? undefined : asked(name);
    if (!value || harmless.includes(value)) continue;
    const [first] = harmless;
    const orElse = first === undefined ? '' : `, or write ${parameter}=${first}`;
    throw new BkpError('USAGE', `source: ${where ?? name} sets ${parameter}, which bkp does not honour`, {
      cause: 'the connection would be another one than that of psql, and perhaps a less strict one',
      next: where === undefined ? `env -u ${name} bkp …` : `leave ${parameter} out of ${where}${orElse}`,
    });
  }
}

/**
 * A misspelt word must not mean less than what was meant, wherever it comes from: an address, a service, a variable.
 * @throws BkpError `USAGE`
 */
export function requireKnownWords(parameters: Readonly<Record<string, string | undefined>>): void {
  for (const [name, accepted] of Object.entries(words)) {
    const value = parameters[name];
    if (value === undefined || accepted.includes(value)) continue;
    throw new BkpError('USAGE', `source: ${name} cannot be ${JSON.stringify(value)}`, {
      next: `write one of ${accepted.join(', ')}`,
    });
  }
}
