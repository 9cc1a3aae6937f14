import {sourceFault} from '../source-syntax.ts';
import {isParameter, ParameterReader, type Parameters} from './parameters.ts';

/**
 * Reads libpq's connection URLs: several hosts, sockets as `%2Frun%2Fpostgresql` or `?host=/run/postgresql`, and every
 * parameter after `?`.
 * Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 * @param rest what follows `postgres:`
 * @throws BkpError `USAGE`; the message never contains a password
 */
export function parsePostgresUrl(rest: string): Parameters {
  const found = /^\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/su.exec(rest);
  if (found === null) {
    throw sourceFault('this is not the URL of a PostgreSQL database', 'write postgres://user@host:5432/database');
  }
  const [, userinfo, authority = '', database, query] = found;
  const reader = new ParameterReader();
  const set = (name: string, value: string) => {
    if (value !== '') reader.set(name, value);
  };
  if (userinfo !== undefined) {
    const [user = '', ...password] = userinfo.split(':');
    if (password.length > 0) reader.set('password', '');
    set('user', decoded(user));
  }
  const hosts = authority.split(',').map(hostAndPort);
  if (hosts.some(({host}) => host !== '')) set('host', hosts.map(({host}) => host).join(','));
  if (hosts.some(({port}) => port !== '')) set('port', hosts.map(({port}) => port).join(','));
  set('dbname', decoded(database ?? ''));
  for (const part of (query ?? '').split('&').filter((text) => text !== '')) {
    const equals = part.indexOf('=');
    if (equals === -1) throw sourceFault(`${JSON.stringify(part)} in the URL has no value`, 'write ?sslmode=require');
    const [name, value] = [decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))];
    // libpq reads JDBC's spelling too.
    if (name === 'ssl' && value === 'true') set('sslmode', 'require');
    else set(name, value);
  }
  return reader.values();
}

/** The same parameters as a URL that {@link parsePostgresUrl} reads back. */
export function postgresUrl(parameters: Parameters): string {
  const {user, dbname, host = '', port = '', ...others} = parameters;
  const [hosts, ports] = [host.split(','), port.split(',')];
  // What the place of the hosts cannot express goes behind the question mark.
  const inPlace = host !== '' && (port === '' || ports.length === hosts.length);
  const authority = inPlace
    ? hosts.map((name, at) => `${hostText(name)}${ports[at] ? `:${ports[at]}` : ''}`).join(',')
    : '';
  const query = Object.entries({...(inPlace ? {} : {host, port}), ...others})
    .filter(([name, value]) => isParameter(name) && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`)
    .join('&');
  const path = dbname === undefined ? '' : encodeURIComponent(dbname);
  const userinfo = user === undefined ? '' : `${encodeURIComponent(user)}@`;
  return `postgres://${userinfo}${authority}/${path}${query === '' ? '' : `?${query}`}`;
}

function hostText(host: string): string {
  return /^[0-9a-f:]*:[0-9a-f:.%]*$/iu.test(host) ? `[${host}]` : encodeURIComponent(host);
}

function hostAndPort(text: string): {host: string; port: string} {
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/u.exec(text);
  if (found === null) {
    throw sourceFault('the host of the URL is not a host', 'write postgres://host:5432/database; IPv6 in brackets');
  }
  return {host: decoded(found[1] ?? found[2] ?? ''), port: found[3] ?? ''};
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw sourceFault('the URL has a % that begins no character', 'write %25 for a percent sign');
  }
}
