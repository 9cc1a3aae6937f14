import {inspect} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {asPlain, BkpError} from '../../../src/errors/index.ts';
import {openS3Store} from '../../../src/stores/index.ts';
import {failureOf, withoutSecrets} from '../../../src/stores/s3/connection/failure.ts';
import type {FaultEffect} from '../../helpers/fake-s3.ts';
import {fakeServer, fakeStore, secrets, storeOn} from './fixture.ts';

const quick = {timeouts: {patienceMs: 0}};

/** Responses of servers, by status and name, and the messages for users. */
const table: [status: number, code: string, told: {code: string; message: RegExp; next: RegExp}][] = [
  [403, 'SignatureDoesNotMatch', {code: 'STORE_DENIED', message: /access key/, next: /secret_access_key/}],
  [403, 'InvalidAccessKeyId', {code: 'STORE_DENIED', message: /access key/, next: /access_key_id/}],
  [404, 'XAdminUserNotFound', {code: 'STORE_DENIED', message: /access key/, next: /access_key_id/}],
  [403, 'NotSignedUp', {code: 'STORE_DENIED', message: /access key/, next: /access_key_id/}],
  [400, 'ExpiredToken', {code: 'STORE_DENIED', message: /token/, next: /credentials/}],
  [403, 'ExpiredToken', {code: 'STORE_DENIED', message: /token/, next: /credentials/}],
  [403, 'InvalidTokenId', {code: 'STORE_DENIED', message: /token/, next: /credentials/}],
  [400, 'AuthorizationHeaderMalformed', {code: 'STORE_UNAVAILABLE', message: /region/, next: /region=/}],
  [301, 'PermanentRedirect', {code: 'STORE_UNAVAILABLE', message: /region/, next: /region=/}],
  [404, 'NoSuchBucket', {code: 'STORE_UNAVAILABLE', message: /no bucket bucket/, next: /create the bucket/}],
  [400, 'InvalidBucketName', {code: 'STORE_UNAVAILABLE', message: /no bucket bucket/, next: /create the bucket/}],
  [403, 'AccessDenied', {code: 'STORE_DENIED', message: /not allowed to/, next: /s3:PutObject on the bucket bucket/}],
  [403, 'Forbidden', {code: 'STORE_DENIED', message: /not allowed to/, next: /s3:PutObject/}],
  [403, 'RequestTimeTooSkewed', {code: 'STORE_DENIED', message: /clock/, next: /clock/}],
  [507, 'InsufficientStorage', {code: 'STORE_FULL', message: /full/, next: /free space/}],
  [507, 'Whatever', {code: 'STORE_FULL', message: /full/, next: /free space/}],
  [403, 'QuotaExceeded', {code: 'STORE_FULL', message: /full/, next: /quota/}],
  [503, 'SlowDown', {code: 'STORE_UNAVAILABLE', message: /limits the request rate/, next: /later/}],
  [429, 'Anything', {code: 'STORE_UNAVAILABLE', message: /limits the request rate/, next: /later/}],
  [500, 'InternalError', {code: 'STORE_UNAVAILABLE', message: /could not write a/, next: /again/}],
  [502, 'BadGateway', {code: 'STORE_UNAVAILABLE', message: /could not write a/, next: /again/}],
  [501, 'NotImplemented', {code: 'STORE_REFUSED', message: /could not write a.*not support/, next: /store check/}],
  [405, 'MethodNotAllowed', {code: 'STORE_REFUSED', message: /could not write a.*not support/, next: /store check/}],
  [400, 'InvalidArgument', {code: 'STORE_UNAVAILABLE', message: /could not write a/, next: /store check/}],
  [403, 'InvalidObjectState', {code: 'STORE_UNAVAILABLE', message: /archive/, next: /restore-object/}],
];

test.each(table)('%i %s is reported with its code, cause and next step', async (status, code, expected) => {
  const {server, store} = await fakeStore({}, quick);
  server.fault({times: 10}, {kind: 'answer', status, code, message: 'words of the server'});
  const error = await store.put('a', Buffer.from('1')).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BkpError);
  expect(error).toMatchObject({code: expected.code, message: expect.stringMatching(expected.message)});
  expect((error as BkpError).next).toMatch(expected.next);
  expect(asPlain(error).cause).toContain(`${code}: words of the server (HTTP ${status}, request fake)`);
});

describe('facts in the response', () => {
  test('a message that says the disk is full counts under any status', async () => {
    for (const message of ['Storage backend has reached its minimum free drive threshold', 'no space left on device']) {
      const {server, store} = await fakeStore({}, quick);
      server.fault({times: 10}, {kind: 'answer', status: 500, code: 'XMinioStorageFull', message});
      await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject({code: 'STORE_FULL'});
    }
  });

  test('the next step names the correct region', async () => {
    const {store} = await fakeStore({region: 'eu-central-1'}, {...quick, region: 'eu-west-1'});
    await expect(store.get('a')).rejects.toMatchObject({
      message: expect.stringContaining('eu-west-1'),
      next: 'add region=eu-central-1 to the store',
    });
    const {server, store: moved} = await fakeStore({}, quick);
    const headers = {'x-amz-bucket-region': 'ap-south-1'};
    server.fault({times: 9}, {kind: 'answer', status: 301, code: 'PermanentRedirect', headers});
    await expect(moved.get('a')).rejects.toMatchObject({next: 'add region=ap-south-1 to the store'});
  });

  test('the message says how far the clock is off, and in which direction', async () => {
    const {store} = await fakeStore({clockOffsetMs: 3_600_000}, quick);
    const error = await store.get('a').catch((thrown: unknown) => thrown as BkpError);
    expect((error as BkpError).message).toMatch(/clock of this machine is 3(599|600|601) s behind/);
    const {store: ahead} = await fakeStore({clockOffsetMs: -7_200_000}, quick);
    await expect(ahead.get('a')).rejects.toMatchObject({message: expect.stringMatching(/7(199|200|201) s ahead of/)});
  });

  test('the next step names the missing permission, for every call', async () => {
    const {server, store} = await fakeStore({objectLock: true}, {...quick, lockDays: 1});
    await store.put('a', Buffer.from('1'));
    const calls = ['PutObject', 'GetObject', 'ListObjectsV2', 'DeleteObjects', 'PutObjectRetention'];
    for (const call of calls) server.settings.denied.add(call);
    const next = (action: string) => ({code: 'STORE_DENIED', next: expect.stringContaining(`grant it ${action} `)});
    await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject(next('s3:PutObject'));
    await expect(store.get('a')).rejects.toMatchObject(next('s3:GetObject'));
    await expect(store.stat('a')).rejects.toMatchObject({code: 'STORE_DENIED'});
    await expect(store.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(next('s3:ListBucket'));
    await expect(store.delete(['a'])).rejects.toMatchObject(next('s3:DeleteObject'));
    await expect(store.retain?.(['a'])).rejects.toMatchObject(next('s3:PutObjectRetention'));
    server.settings.denied = new Set(['HeadObject']);
    await expect(store.retain?.(['a'])).rejects.toMatchObject(next('s3:GetObject'));
  });

  test('an unknown access key id is STORE_DENIED', async () => {
    const {store} = await fakeStore({accessKeyId: 'another'}, quick);
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'STORE_DENIED',
      next: expect.stringContaining('access_key_id'),
    });
  });
});

describe('without a response', () => {
  test('a port without a server is STORE_UNAVAILABLE', async () => {
    const server = await fakeServer();
    const store = await storeOn(server);
    await server.close();
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('no server responds at http://127.0.0.1:'),
    });
    // It is closed already.
    server.close = async () => {};
  });

  test('a server without TLS is STORE_UNAVAILABLE, and the next step names http://', async () => {
    const {server} = await fakeStore();
    const store = await storeOn(server, {...quick, endpoint: server.endpoint.replace('http:', 'https:')});
    const error = await store.get('a').catch((thrown: unknown) => thrown as BkpError);
    expect(error).toMatchObject({code: 'STORE_UNAVAILABLE', next: expect.stringContaining('http://')});
    expect((error as BkpError).cause).not.toMatch(/\n|openssl\//);
  });

  test.each([
    ['ENOTFOUND', /cannot be resolved/],
    ['EAI_AGAIN', /cannot be resolved/],
    ['ECONNREFUSED', /no server responds/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /certificate/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /certificate/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /certificate/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /certificate/],
    ['CERT_HAS_EXPIRED', /certificate/],
    ['ECONNRESET', /could not/],
    ['EPIPE', /could not/],
    ['ETIMEDOUT', /could not/],
  ])('%s', async (code, message) => {
    const {s3Error} = await import('../../../src/stores/s3/connection/errors.ts');
    const failure = failureOf(Object.assign(new Error('words'), {code}));
    const facts = {call: 'GetObject', doing: 'read a', description: 's3::bucket=b;', bucket: 'b', region: 'r'};
    const error = s3Error(failure, {...facts, endpoint: 'https://host', caCertFile: undefined, wallMs: 0});
    expect(error.message).toMatch(message);
    if (failure.kind === 'certificate') expect(error.next).toContain('ca_cert_file=');
  });

  test('a missing certificate file is named', async () => {
    const server = await fakeServer();
    await expect(storeOn(server, {caCertFile: '/nowhere/ca.pem'})).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      next: expect.stringContaining('/nowhere/ca.pem'),
    });
  });

  describe('without anything in the environment', () => {
    const before = {...process.env};
    beforeAll(() => {
      for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
      Object.assign(process.env, {
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
        AWS_CONFIG_FILE: '/nowhere',
      });
    });
    afterAll(() => {
      process.env = before;
    });

    test('missing credentials are STORE_DENIED', async () => {
      const server = await fakeServer();
      const store = await openS3Store({bucket: 'bucket', root: '', endpoint: server.endpoint});
      await expect(store.get('a')).rejects.toMatchObject({
        code: 'STORE_DENIED',
        next: expect.stringContaining('AWS_ACCESS_KEY_ID'),
      });
      expect(server.requests).toEqual([]);
    });

    test('a missing region is STORE_UNAVAILABLE', async () => {
      await expect(openS3Store({bucket: 'bucket', root: ''})).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        next: expect.stringContaining('region='),
      });
    });
  });
});

describe('no secret', () => {
  const signature = 'a'.repeat(64);
  const leaky =
    `StringToSign ${secrets.accessKeyId}/20260101 Signature=${signature} ` +
    `X-Amz-Security-Token=${secrets.sessionToken}&x secret ${secrets.secretAccessKey}`;
  const effects: FaultEffect[] = [
    {kind: 'answer', status: 403, code: 'SignatureDoesNotMatch', message: leaky},
    {kind: 'answer', status: 400, code: 'AuthorizationHeaderMalformed', message: leaky},
    {kind: 'answer', status: 500, code: 'InternalError', message: leaky},
    {kind: 'answer', status: 403, code: leaky, message: ''},
    {kind: 'answer', status: 400, code: '', body: leaky},
    {kind: 'itemError', code: 'AccessDenied', message: leaky},
    {kind: 'itemError', code: leaky},
    {kind: 'reset'},
    {kind: 'hang'},
  ];

  test.each(effects)('is in any error, whatever the server sends (%#)', async (effect) => {
    // Inherited fields, which an enumeration does not find; credentials hide theirs in the same way.
    const credentials = Object.create(secrets) as typeof secrets;
    const {server, store} = await fakeStore({}, {credentials, timeouts: {patienceMs: 0, stallMs: 100}});
    server.fault({times: 100}, effect);
    const thrown: unknown[] = [];
    for (const call of [
      () => store.put('a', Buffer.from('1')),
      () => store.get('a'),
      () => store.delete(['a']),
      () => store.list('')[Symbol.asyncIterator]().next(),
    ]) {
      await call().catch((error: unknown) => thrown.push(error));
    }
    expect(thrown.length).toBeGreaterThan(0);
    // Everything that a careless log would print, hidden fields too.
    const printed = inspect([...thrown, store], {depth: 20, showHidden: true});
    for (const secret of [...Object.values(secrets), signature]) expect(printed).not.toContain(secret);
  });

  test('remains after the textual rules alone', () => {
    expect(withoutSecrets(`key ${secrets.accessKeyId}.`)).toBe('key ….');
    expect(withoutSecrets('Credential=abc/def, Signature=0123, X-Amz-Signature=ff&a=b')).toBe(
      'Credential=…, Signature=…, X-Amz-Signature=…&a=b',
    );
  });
});
