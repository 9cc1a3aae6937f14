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
};

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
