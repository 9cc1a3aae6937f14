import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {openS3Store} from '../../../src/stores/index.ts';
import {type FakeS3, startFakeS3} from '../../helpers/fake-s3.ts';

// Credentials of the AWS default chain are replaced while a process runs: tokens end after an hour, and a program
// writes new ones into ~/.aws/credentials.

let folder: string;
let server: FakeS3;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-credentials-'));
  server = await startFakeS3();
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE']) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.close();
  rmSync(folder, {recursive: true, force: true});
});

const open = (own?: string) =>
  openS3Store({
    bucket: server.bucket,
    root: '',
    endpoint: server.endpoint,
    timeouts: {connectMs: 2000, stallMs: 2000, patienceMs: 4000},
    ...(own === undefined ? {} : {credentials: {accessKeyId: own, secretAccessKey: 'secret'}}),
  });

const writeCredentials = (keyId: string) =>
  writeFileSync(
    join(folder, 'credentials'),
    `[default]\naws_access_key_id = ${keyId}\naws_secret_access_key = secret\naws_session_token = of-${keyId}\n`,
  );

test('a store goes on with the new credentials of its profile when the old ones are refused', async () => {
  writeCredentials('FIRST');
  server.accepted.accessKeyId = 'FIRST';
  const store = await open();
  await store.put('a/1', Buffer.from('one'));
  writeCredentials('SECOND');
  server.accepted.accessKeyId = 'SECOND';
  expect(await store.put('a/2', Buffer.from('two'), {ifAbsent: true})).toBe('written');
  expect(Buffer.from(await store.get('a/1')).toString()).toBe('one');
});

test('a store that a process opens later reads the credentials again', async () => {
  writeCredentials('FIRST');
  const first = await open();
  await first.put('a/1', Buffer.from('one'));
  writeCredentials('SECOND');
  server.requests.length = 0;
  const second = await open();
  await second.put('a/2', Buffer.from('two'));
  expect(server.requests.map(({headers}) => headers['x-amz-security-token'])).toEqual(['of-SECOND']);
});

test('the program of a profile is asked again when what it printed is refused', async () => {
  const program = join(folder, 'print');
  const print = (keyId: string) =>
    writeFileSync(
      program,
      `#!/bin/sh\necho asked >> '${folder}/asked'\n` +
        `echo '{"Version": 1, "AccessKeyId": "${keyId}", "SecretAccessKey": "secret", "SessionToken": "token"}'\n`,
    );
  writeFileSync(join(folder, 'config'), `[profile app]\ncredential_process = ${program}\n`);
  vi.stubEnv('AWS_PROFILE', 'app');
  print('FIRST');
  chmodSync(program, 0o755);
  server.accepted.accessKeyId = 'FIRST';
  const store = await open();
  await store.put('a/1', Buffer.from('one'));
  await store.put('a/2', Buffer.from('two'));
  print('SECOND');
  server.accepted.accessKeyId = 'SECOND';
  await store.put('a/3', Buffer.from('three'));
  expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('asked\nasked\n');
});

test('credentials that stay the same are refused once, and so are those of the store itself', async () => {
  writeCredentials('FIRST');
  server.accepted.accessKeyId = 'OTHER';
  for (const store of [await open(), await open('OWN')]) {
    server.requests.length = 0;
    await expect(store.put('a/1', Buffer.from('one'))).rejects.toMatchObject({code: 'STORE_DENIED'});
    expect(server.requests).toHaveLength(1);
  }
});
