import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {serverFile} from '../../scripts/servers.js';
import {bkpFile} from '../helpers/bkp.ts';
import {type ServerProcess, startServer} from './process.ts';

const readerFile = join(import.meta.dirname, '../../bin/bkp-reader.mjs');
const aws = {AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test'};

/** What the test itself asks of KMS. */
type Kms = {
  createKey(input: object): Promise<{KeyMetadata: {Arn: string}}>;
  createAlias(input: object): Promise<unknown>;
  decrypt(input: object): Promise<{Plaintext: Uint8Array}>;
};

let server: ServerProcess;
let endpoint: string;
let kms: Kms;
beforeAll(async () => {
  const packages = dirname(dirname(serverFile('moto')));
  server = await startServer({
    name: 'moto',
    args: (port) => ['-H', '127.0.0.1', '-p', String(port)],
    // Its program names the Python that installed it.
    env: {PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1'},
    isReady: async (port) => (await fetch(`http://127.0.0.1:${port}/moto-api/`)).ok,
  });
  endpoint = `http://127.0.0.1:${server.port}`;
  const {KMS} = createRequire(import.meta.url)('@aws-sdk/client-kms');
  const credentials = {accessKeyId: 'test', secretAccessKey: 'test'};
  kms = new KMS({endpoint, region: aws.AWS_REGION, credentials});
});
afterAll(() => server?.stop());

function machine() {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-kms-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const file = (name: string) => join(folder, name);
  mkdirSync(file('store'));
  writeFileSync(file('password.txt'), 'a password\n', {mode: 0o600});
  const node = (entry: string, args: readonly string[], env: Record<string, string>) =>
    execFileSync(process.execPath, [entry, ...args], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
      env: {PATH: process.env.PATH, BKP_HOME: file('home'), ...env},
    });
  const bkp = (env: Record<string, string>, ...args: string[]) =>
    node(bkpFile, ['--cluster', file('store'), ...args], {...aws, AWS_ENDPOINT_URL_KMS: endpoint, ...env});
  return {file, node, bkp};
}

test('a slot for a KMS key opens a vault with backups, and the printed command its slot for the reader', async () => {
  const {KeyMetadata} = await kms.createKey({});
  await kms.createAlias({AliasName: 'alias/bkp', TargetKeyId: KeyMetadata.Arn});
  const {file, node, bkp} = machine();
  const byPassword = {BKP_PASSWORD_FILE: file('password.txt')};
  const byKms = {BKP_KMS_KEY: KeyMetadata.Arn};
  bkp(byPassword, 'vault', 'create', '--encrypt');
  expect(bkp(byPassword, 'vault', 'key', 'add', '--kms', 'alias/bkp')).toMatch(/added slot .* \(alias\/bkp\).* kms/);

  execFileSync(process.execPath, [
    '-e',
    `new (require('node:sqlite').DatabaseSync)(${JSON.stringify(file('shop.db'))})
      .exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'sealed')")`,
  ]);
  const source = ['--source', file('shop.db'), 'sql', '--wait'];
  bkp(byKms, ...source, "CREATE BACKUP COLLECTION shop (TABLE item) WITH (STORAGE='cluster')");
  bkp(byKms, ...source, 'BACKUP shop');
  bkp(byKms, 'vault', 'key', 'rotate');
  bkp(byKms, 'vault', 'key', 'rotate', '--reencrypt', '--wait');
  bkp({BKP_KMS_KEY: 'alias/bkp'}, '--source', file('new.db'), 'sql', '--wait', 'RESTORE shop');

  writeFileSync(file('wrong.txt'), 'another password');
  const words = (() => {
    try {
      return node(readerFile, [file('store'), '--password-file', file('wrong.txt')], {});
    } catch (error) {
      return String((error as {stderr: string}).stderr);
    }
  })();
  const [, print] = /^ {2}(node -p .*) \| base64 -d > slot\.bin$/m.exec(words) ?? [];
  const [, keyId, region] = /aws kms decrypt --key-id (\S+) --region (\S+) /.exec(words) ?? [];
  const [, vault, slot] = /--encryption-context bkp-vault=(\w+),bkp-slot=(\w+)/.exec(words) ?? [];
  expect({keyId, region}).toEqual({keyId: KeyMetadata.Arn, region: aws.AWS_REGION});
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const ciphertext = execFileSync('sh', ['-c', print!], {encoding: 'utf8', env: {PATH: path}});
  const {Plaintext} = await kms.decrypt({
    KeyId: keyId,
    CiphertextBlob: Buffer.from(ciphertext, 'base64'),
    EncryptionContext: {'bkp-vault': vault, 'bkp-slot': slot},
  });
  writeFileSync(file('key.txt'), Plaintext, {mode: 0o600});
  expect(node(readerFile, [file('store'), '--password-file', file('key.txt')], {})).toContain('shop');
  expect(bkp({BKP_PASSWORD_FILE: file('key.txt')}, 'collection', 'list')).toContain('shop');
});

test('a server that is gone, or does not know the key, leaves the way by password', async () => {
  const {KeyMetadata} = await kms.createKey({});
  const {file, bkp} = machine();
  const byPassword = {BKP_PASSWORD_FILE: file('password.txt')};
  const failed = (env: Record<string, string>) => {
    try {
      return bkp({AWS_MAX_ATTEMPTS: '1', ...env}, 'vault', 'key', 'list');
    } catch (error) {
      const {status, stderr} = error as {status: number; stderr: string};
      return `${status}: ${stderr}`;
    }
  };
  bkp({BKP_KMS_KEY: KeyMetadata.Arn}, 'vault', 'create');
  bkp({BKP_KMS_KEY: KeyMetadata.Arn}, 'vault', 'key', 'add', '--password-file', file('password.txt'));
  expect(failed({BKP_KMS_KEY: 'alias/unknown'})).toMatch(/^12: bkp: .*there is no KMS key alias\/unknown/);
  expect(failed({BKP_KMS_KEY: KeyMetadata.Arn, AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1'})).toMatch(
    /^1: bkp: .*AWS KMS does not answer/,
  );
  expect(failed(byPassword)).toContain('password');
});
