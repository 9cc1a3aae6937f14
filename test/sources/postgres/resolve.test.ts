import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {psqlOf} from '../../../src/sources/postgres/connection/connect.ts';
import {resolveConnection} from '../../../src/sources/postgres/connection/resolve.ts';
import {type TlsFiles, tlsAttempts, tlsMode} from '../../../src/sources/postgres/connection/tls.ts';

function homeWith(files: Readonly<Record<string, string>>): string {
  const home = mkdtempSync(join(tmpdir(), 'bkp-pg-home-'));
  onTestFinished(() => rmSync(home, {recursive: true, force: true}));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(home, name), text);
    chmodSync(join(home, name), 0o600);
  }
  return home;
}

test('parameters precede the service, the service precedes the environment, which precedes defaults', () => {
  const home = homeWith({
    '.pg_service.conf': '# one\n[other]\nhost=no\n[prod]\nhost=db.internal\nport=6432\ndbname=shop\n',
  });
  const env = {PGSERVICE: 'prod', PGUSER: 'ann', PGHOST: 'elsewhere', PGPORT: '1'};
  const {endpoints, user, database} = resolveConnection({dbname: 'other'}, {env, home});
  expect({endpoints, user, database}).toEqual({
    endpoints: [{host: 'db.internal', port: 6432}],
    user: 'ann',
    database: 'other',
  });
});

test('a service that no file has is refused with the files that were read', () => {
  const home = homeWith({});
  expect(() => resolveConnection({service: 'prod'}, {env: {}, home})).toThrow(
    `there is no service prod in ${join(home, '.pg_service.conf')}`,
  );
});

test('several hosts have a port each, or share one', () => {
  const endpointsOf = (parameters: Record<string, string>) =>
    resolveConnection(parameters, {env: {}, home: homeWith({})}).endpoints.map(({host, port}) => `${host}:${port}`);
  expect(endpointsOf({host: 'a,b', port: '1,2'})).toEqual(['a:1', 'b:2']);
  expect(endpointsOf({host: 'a,b', port: '7'})).toEqual(['a:7', 'b:7']);
  expect(endpointsOf({host: 'a,b'})).toEqual(['a:5432', 'b:5432']);
  expect(() => endpointsOf({host: 'a,b,c', port: '1,2'})).toThrow('2 ports are given for 3 hosts');
});

test.each([
  ['PGSSLMODE', 'verify_full', 'sslmode cannot be "verify_full"'],
  ['PGCHANNELBINDING', 'required', 'channel_binding cannot be "required"'],
  ['PGREQUIREAUTH', 'scram-sha-256', 'PGREQUIREAUTH sets require_auth, which bkp does not check'],
])('%s=%s is refused: it must not mean less than was meant', (name, word, message) => {
  expect(() => resolveConnection({}, {env: {[name]: word}, home: homeWith({})})).toThrow(message);
});

test('words of a service are checked as those of an address', () => {
  const service = (line: string) => homeWith({'.pg_service.conf': `[prod]\nhost=db\n${line}\n`});
  const resolved = (line: string) => resolveConnection({service: 'prod'}, {env: {}, home: service(line)});
  expect(() => resolved('sslmode=verifyfull')).toThrow('sslmode cannot be "verifyfull"');
  expect(() => resolved('require_auth=scram-sha-256')).toThrow('the service sets require_auth');
  expect(resolved('channel_binding=require')).toMatchObject({
    channelBinding: 'require',
    forPrograms: {channel_binding: 'require'},
  });
});

test('load_balance_hosts=random tries the same hosts in any order', () => {
  const hosts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const order = (load_balance_hosts: string) =>
    resolveConnection({host: hosts.join(), load_balance_hosts}, {env: {}, home: homeWith({})}).endpoints.map(
      ({host}) => host,
    );
  expect(order('disable')).toEqual(hosts);
  const orders = Array.from({length: 5}, () => order('random'));
  for (const one of orders) expect(one.toSorted()).toEqual(hosts);
  expect(new Set(orders.map(String)).size).toBeGreaterThan(1);
});

test('a database is named after the user unless it is named itself', () => {
  expect(resolveConnection({user: 'ann'}, {env: {}, home: homeWith({})}).database).toBe('ann');
});

const pgpass = [
  '# a comment',
  'db.internal:5432:shop:ann:first',
  'localhost:*:*:ann:by socket',
  String.raw`ho\:st:5432:*:a\\nn:with \: and \\`,
  '*:*:*:*:last',
].join('\n');

test.each([
  [{host: 'db.internal', user: 'ann', dbname: 'shop'}, 'first'],
  [{host: 'db.internal', user: 'ann', dbname: 'other'}, 'last'],
  [{host: '/run/postgresql', user: 'ann'}, 'by socket'],
  [{host: 'ho:st', user: String.raw`a\nn`}, String.raw`with : and \ `.trimEnd()],
])('the password of %j is in .pgpass', (parameters, password) => {
  const resolved = resolveConnection(parameters, {env: {}, home: homeWith({'.pgpass': pgpass})});
  expect(resolved.passwordFor(resolved.endpoints[0]!)).toBe(password);
});

test('a .pgpass that others can read is ignored', () => {
  const home = homeWith({'.pgpass': pgpass});
  chmodSync(join(home, '.pgpass'), 0o644);
  const resolved = resolveConnection({host: 'x'}, {env: {}, home});
  expect(resolved.passwordFor(resolved.endpoints[0]!)).toBeUndefined();
});

test('PGPASSWORD precedes the password of the settings, which precedes .pgpass', () => {
  const home = homeWith({'.pgpass': pgpass});
  const passwordOf = (env: Record<string, string>, password?: string) => {
    const resolved = resolveConnection({host: 'x'}, {env, home, password});
    return resolved.passwordFor(resolved.endpoints[0]!);
  };
  expect(passwordOf({PGPASSWORD: 'env'}, 'settings')).toBe('env');
  expect(passwordOf({}, 'settings')).toBe('settings');
  expect(passwordOf({})).toBe('last');
});

test('what pg_dump is given contains no password', () => {
  const {forPrograms} = resolveConnection(
    {host: 'x', user: 'ann', dbname: 'shop', sslmode: 'require'},
    {env: {PGPASSWORD: 'geheim'}, home: homeWith({}), password: 'geheim'},
  );
  expect(forPrograms).toEqual({user: 'ann', dbname: 'shop', sslmode: 'require'});
});

const files: TlsFiles = {rootCertificates: 'ROOT', certificate: undefined, key: undefined, revoked: undefined};
const none = {...files, rootCertificates: undefined};

// https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
test('sslmode means what it means to libpq', () => {
  const attempts = (mode: string | undefined, has = files) => {
    return tlsAttempts(tlsMode(mode, has.rootCertificates), has, 'db').map((tls) => {
      if (tls === undefined) return 'plain';
      if (tls.rejectUnauthorized !== true) return 'unverified';
      return tls.checkServerIdentity === undefined ? 'host verified' : 'chain verified';
    });
  };
  expect(attempts('disable')).toEqual(['plain']);
  expect(attempts('allow', none)).toEqual(['plain', 'unverified']);
  expect(attempts(undefined, none)).toEqual(['unverified', 'plain']);
  expect(attempts('prefer')).toEqual(['chain verified', 'plain']);
  expect(attempts('require', none)).toEqual(['unverified']);
  expect(attempts('require')).toEqual(['chain verified']);
  expect(attempts('verify-ca')).toEqual(['chain verified']);
  expect(attempts('verify-full')).toEqual(['host verified']);
  expect(attempts(undefined, {...none, rootCertificates: 'system'})).toEqual(['host verified']);
  expect(() => tlsMode('verify-full', undefined)).toThrow('needs root certificates');
  expect(() => tlsMode('require', 'system')).toThrow('does not verify the host');
  expect(tlsAttempts('verify-full', files, '/run/postgresql')).toEqual([undefined]);
});

test('the psql that a next step names asks for TLS as bkp does', () => {
  const resolved = resolveConnection({host: 'db', dbname: 'my shop', user: 'app', sslmode: 'require'}, {env: {}});
  expect(psqlOf(resolved, {host: 'db', port: 5433})).toBe(
    `"host=db port=5433 dbname='my shop' user=app sslmode=require"`,
  );
});
