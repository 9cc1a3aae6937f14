import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {openS3Store, type S3StoreOptions} from '../../../src/stores/index.ts';
import {secrets} from './fixture.ts';

let folder: string;
let server: Server | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-tls-'));
  // Generated for each run: a certificate in the repository would expire.
  const made = await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'ca.pem')],
  ]).then(
    () => true,
    () => false,
  );
  if (!made) return;
  const files = {key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'ca.pem'))};
  server = createServer(files, (_, answer) => answer.writeHead(200, {etag: '"1"', 'content-length': '2'}).end('ok'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server?.close();
  server?.closeAllConnections();
  rmSync(folder, {recursive: true, force: true});
});

const get = async (host: string, more: Partial<S3StoreOptions>) => {
  const endpoint = `https://${host}:${(server!.address() as AddressInfo).port}`;
  const store = await openS3Store({bucket: 'b', root: '', endpoint, credentials: secrets, ...more});
  return Buffer.from(await store.get('a')).toString();
};

test('a certificate is trusted if its authority is configured, with the built-in roots or without', async (context) => {
  if (server === undefined) context.skip('no openssl here to make a certificate with');
  const caCertFile = join(folder, 'ca.pem');
  expect(await get('localhost', {caCertFile})).toBe('ok');
  expect(await get('localhost', {caCertFile, caBuiltinRoots: false})).toBe('ok');
});

test('any other certificate is refused with a next step', async (context) => {
  if (server === undefined) context.skip('no openssl here to make a certificate with');
  const untrusted = {code: 'STORE_UNAVAILABLE', message: expect.stringContaining('certificate')};
  const next = expect.stringContaining('ca_cert_file=');
  await expect(get('localhost', {})).rejects.toMatchObject({...untrusted, next});
  await expect(get('localhost', {caBuiltinRoots: false})).rejects.toMatchObject({...untrusted, next});
  // It names another host.
  const caCertFile = join(folder, 'ca.pem');
  await expect(get('127.0.0.1', {caCertFile})).rejects.toMatchObject({
    ...untrusted,
    next: expect.stringContaining(caCertFile),
  });
});
