import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {parseConninfo} from '../../../src/config/addresses/postgres/conninfo.ts';
import {parsePostgresUrl} from '../../../src/config/addresses/postgres/url.ts';
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
  ['PGREQUIREAUTH', 'scram-sha-256', 'PGREQUIREAUTH sets require_auth, which bkp does not honour'],
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

// What libpq knows, and how bkp must take it, from all three places alike.
const demanded: readonly (readonly [parameter: string, variable: string, refused: string, harmless?: string])[] = [
  ['require_auth', 'PGREQUIREAUTH', 'none'],
  ['requirepeer', 'PGREQUIREPEER', 'postgres'],
  ['gssencmode', 'PGGSSENCMODE', 'require', 'prefer'],
  ['krbsrvname', 'PGKRBSRVNAME', 'pg', 'postgres'],
  ['gsslib', 'PGGSSLIB', 'sspi', 'gssapi'],
  ['gssdelegation', 'PGGSSDELEGATION', '1', '0'],
  ['sslcertmode', 'PGSSLCERTMODE', 'require', 'allow'],
  ['sslsni', 'PGSSLSNI', '0', '1'],
  ['min_protocol_version', 'PGMINPROTOCOLVERSION', '3.2', '3.0'],
  ['max_protocol_version', 'PGMAXPROTOCOLVERSION', '4.0', 'latest'],
  ['replication', '', 'database', 'false'],
  ['scram_client_key', '', 'a2V5'],
  ['scram_server_key', '', 'a2V5'],
  ['sslkeylogfile', '', '/tmp/keys'],
  ['oauth_issuer', '', 'https://issuer.example'],
  ['oauth_client_id', '', 'bkp'],
  ['oauth_scope', '', 'openid'],
];

test.each(demanded)(
  '%s is refused by name wherever it is set',
  (parameter = '', variable = '', refused = '', harmless?: string) => {
    const places: readonly ((value: string) => unknown)[] = [
      (value) => parsePostgresUrl(`//db/shop?${parameter}=${encodeURIComponent(value)}`),
      (value) => parseConninfo(`host=db ${parameter}='${value}'`),
      (value) =>
        resolveConnection(
          {service: 'prod'},
          {env: {}, home: homeWith({'.pg_service.conf': `[prod]\n${parameter}=${value}\n`})},
        ),
      ...(variable === ''
        ? []
        : [(value: string) => resolveConnection({}, {env: {[variable]: value}, home: homeWith({})})]),
    ];
    for (const place of places) {
      expect(() => place(refused)).toThrow(`sets ${parameter}, which bkp does not honour`);
      if (harmless !== undefined) expect(() => place(harmless)).not.toThrow();
    }
  },
);

test('a service that sets what is no parameter is refused, as by libpq', () => {
  const home = homeWith({'.pg_service.conf': '[prod]\nhost=db\nsslmod=verify-full\n'});
  expect(() => resolveConnection({service: 'prod'}, {env: {}, home})).toThrow('sets "sslmod", which is no parameter');
});

test('files of TLS come from the address, the service and the variables alike', () => {
  const crl = {'crls/4a6481c9.r0': 'ONE', 'crls/4a6481c9.r1': 'TWO', 'crls/readme': 'x', 'one.crl': 'THREE'};
  const home = homeWith({});
  mkdirSync(join(home, 'crls'));
  mkdirSync(join(home, 'none'));
  for (const [name, text] of Object.entries(crl)) writeFileSync(join(home, name), text);
  const folder = join(home, 'crls');
  const revoked = (parameters: Record<string, string>, env = {}) =>
    resolveConnection(parameters, {env, home}).tlsFiles.revoked;
  expect(revoked({})).toEqual([]);
  expect(revoked({sslcrldir: folder})).toEqual(['ONE', 'TWO']);
  expect(revoked({}, {PGSSLCRLDIR: folder})).toEqual(['ONE', 'TWO']);
  expect(revoked({sslcrl: join(home, 'one.crl'), sslcrldir: folder})).toEqual(['THREE', 'ONE', 'TWO']);
  expect(() => revoked({sslcrldir: join(home, 'none')})).toThrow('has no revocation list');
  writeFileSync(join(home, '.pg_service.conf'), `[prod]\nsslcrldir=${folder}\nsslpassword=geheim\npassword=one\n`);
  const ofService = resolveConnection({service: 'prod'}, {env: {PGPASSWORD: 'two'}, home});
  expect(ofService).toMatchObject({tlsFiles: {revoked: ['ONE', 'TWO'], passphrase: 'geheim'}});
  expect(JSON.stringify(ofService.forPrograms)).not.toContain('geheim');
  expect(ofService.secretService).toEqual({name: 'prod', file: undefined});
  // As psql does.
  expect(ofService.passwordFor(ofService.endpoints[0]!)).toBe('one');
  expect(() => parsePostgresUrl('//db/shop?sslpassword=geheim')).toThrow('a sslpassword cannot be part of it');
  expect(resolveConnection({}, {env: {PGREQUIRESSL: '1'}, home}).tls).toBe('require');
  expect(resolveConnection({sslmode: 'disable'}, {env: {PGREQUIRESSL: '1'}, home}).tls).toBe('disable');
});

test('sslcertmode=disable sends no certificate', () => {
  const home = homeWith({});
  mkdirSync(join(home, '.postgresql'));
  for (const name of ['postgresql.crt', 'postgresql.key']) writeFileSync(join(home, '.postgresql', name), name);
  expect(resolveConnection({}, {env: {}, home}).tlsFiles).toMatchObject({certificate: 'postgresql.crt'});
  for (const [parameters, env] of [
    [{sslcertmode: 'disable'}, {}],
    [{}, {PGSSLCERTMODE: 'disable'}],
  ] as const) {
    expect(resolveConnection(parameters, {env, home}).tlsFiles).toMatchObject({certificate: undefined, key: undefined});
  }
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

const files: TlsFiles = {
  ...{rootCertificates: 'ROOT', certificate: undefined, key: undefined, passphrase: undefined},
  revoked: [],
};
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
