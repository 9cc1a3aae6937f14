import {expect, test} from 'vitest';
import {probeS3, type S3StoreOptions} from '../../../src/stores/index.ts';
import type {FakeS3} from '../../helpers/fake-s3.ts';
import {fakeServer, secrets} from './fixture.ts';

const probe = async (server: FakeS3, more: Partial<S3StoreOptions> = {}) => {
  const points = await probeS3({
    bucket: server.bucket,
    endpoint: server.endpoint,
    root: 'r',
    credentials: secrets,
    timeouts: {patienceMs: 0},
    ...more,
  });
  return {points, point: (what: string) => points.find((point) => point.what === what)};
};

test('a good bucket passes every check, and no object is left behind', async () => {
  const server = await fakeServer();
  const {points} = await probe(server);
  expect(points.map(({what}) => what)).toEqual([
    'server',
    'clock',
    'write',
    'list after write',
    'read',
    'ranged read',
    'conditional put',
    'remove',
    'versioning',
    'object lock',
    'lifecycle',
    'encryption at rest',
  ]);
  expect(points.filter(({ok}) => !ok)).toEqual([]);
  expect(server.objects.keys()).toEqual([]);
});

test('a server that ignores conditions is reported, but not as a fault', async () => {
  const {point} = await probe(await fakeServer({ignoreConditions: true}));
  expect(point('conditional put')).toMatchObject({ok: true, detail: expect.stringContaining('checks first')});
});

test('a key that may not remove is append-only, and repeated probes leave only one small object', async () => {
  const server = await fakeServer({denied: new Set(['DeleteObjects'])});
  for (const _ of [1, 2]) {
    const {point} = await probe(server);
    expect(point('remove')).toMatchObject({ok: true, detail: expect.stringContaining('append-only')});
  }
  expect(server.objects.keys()).toEqual(['r/probe/object']);
});

test('missing permissions to write and to read settings are named', async () => {
  const server = await fakeServer({
    denied: new Set([
      'PutObject',
      'GetBucketVersioning',
      'GetObjectLockConfiguration',
      'GetBucketLifecycleConfiguration',
      'GetBucketEncryption',
    ]),
  });
  const {point, points} = await probe(server);
  expect(point('write')).toMatchObject({ok: false, next: expect.stringContaining('s3:PutObject')});
  expect(points.map(({what}) => what)).toEqual([
    'server',
    'clock',
    'write',
    'versioning',
    'object lock',
    'lifecycle',
    'encryption at rest',
  ]);
  expect(point('versioning')).toMatchObject({ok: true, detail: expect.stringContaining('s3:GetBucketVersioning')});
  expect(point('object lock')).toMatchObject({ok: true, detail: expect.stringContaining('s3:GetBucketObjectLock')});
  expect(point('lifecycle')).toMatchObject({ok: true, detail: expect.stringContaining('s3:GetLifecycle')});
  expect(point('encryption at rest')).toMatchObject({detail: expect.stringContaining('s3:GetEncryptionConf')});
});

test('whether the bucket encrypts is reported, with the command that makes it do so', async () => {
  const on = await probe(await fakeServer());
  expect(on.point('encryption at rest')).toEqual({what: 'encryption at rest', ok: true, detail: 'on: AES256'});
  const off = await probe(await fakeServer({isEncrypted: false}));
  expect(off.point('encryption at rest')).toMatchObject({
    ok: true,
    detail: expect.stringMatching(
      /^off: .* aws s3api put-bucket-encryption --bucket \S+ --endpoint-url \S+ --server-side/,
    ),
  });
  const unsupported = await probe(await fakeServer({unsupported: new Set(['encryption'])}));
  expect(unsupported.point('encryption at rest')).toMatchObject({ok: true, detail: 'not supported by this server'});
});

test('object lock and versioning are reported', async () => {
  const server = await fakeServer({objectLock: true});
  const {point} = await probe(server, {lockDays: 30});
  expect(point('object lock')).toMatchObject({ok: true, detail: expect.stringContaining('on')});
  expect(point('versioning')).toMatchObject({ok: true, detail: expect.stringContaining('noncurrent')});
});

test('a configured lock is a fault if the bucket has no object lock', async () => {
  const {point} = await probe(await fakeServer(), {lockDays: 30});
  expect(point('object lock')).toMatchObject({ok: false, next: expect.stringContaining('backup.object.store.lock')});
});

test('a bucket that locks everything by default is a fault: leases could not be removed', async () => {
  const server = await fakeServer({objectLock: true});
  server.fault(
    {call: 'PutObject', skip: 1},
    {
      kind: 'run',
      action: () => {
        server.objects.put('r/probe/object', server.objects.get('r/probe/object')!.body, {
          retainUntilMs: Date.now() + 1e9,
        });
      },
    },
  );
  const {point} = await probe(server);
  expect(point('remove')).toMatchObject({ok: false, next: expect.stringContaining('default retention')});
});

test('a clock difference is reported in seconds', async () => {
  const {point} = await probe(await fakeServer({clockOffsetMs: 120_000}));
  expect(point('clock')).toMatchObject({ok: false, detail: expect.stringMatching(/1(19|20|21) s behind/)});
});

test.each([
  ['no such bucket', {bucket: 'none'}, 'no bucket none'],
  ['no server', {endpoint: 'http://127.0.0.1:1'}, 'no server responds'],
  ['no certificate file', {caCertFile: '/nowhere'}, '/nowhere'],
])('%s is reported as one point with a next step', async (_, more, detail) => {
  const {points} = await probe(await fakeServer(), more);
  expect(points).toEqual([
    {what: 'server', ok: false, detail: expect.stringContaining(detail), next: expect.any(String)},
  ]);
});
