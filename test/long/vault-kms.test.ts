import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeEach, expect, onTestFinished, test} from 'vitest';
import {checkStores} from '../../src/app/health/doctor-checks.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {runProgram} from '../../src/commands/program.ts';
import {loadSettings} from '../../src/config/index.ts';
import type {BkpError} from '../../src/errors/index.ts';
import {newKey} from '../../src/vault/index.ts';
import {withChecksum} from '../../src/vault/keys/sealed-json.ts';
import {testDeps} from '../helpers/deps.ts';
import {keyArn, setVariables, startKms} from '../helpers/kms-server.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-kms-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
});

type Run = {env?: Record<string, string>; home?: string; typed?: (question: string) => string | undefined};

function opened({env: extra = {}, home = 'home', typed}: Run = {}) {
  const base = testDeps(join(folder, home));
  const env = {...base.env, ...extra};
  const flags = {color: false, cluster: join(folder, 'store')};
  const settings = () => loadSettings({flags, env, home: base.home, cwd: folder});
  const deps: CommandDeps = {...base, env, flags, cwd: folder, keyChain: {slots: new Map()}, settings};
  if (typed !== undefined) Object.assign(deps, {askSecret: async (question: string) => typed(question)});
  return {deps, base};
}

async function bkp(args: readonly string[], run: Run = {}) {
  const {deps, base} = opened(run);
  const parts = {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''};
  const error = await runProgram(args, parts).then(
    () => undefined,
    (thrown: BkpError) => thrown,
  );
  base.close();
  return {error, out: base.out(), err: base.err()};
}

const [one, other] = [keyArn('11111111-1111-1111-1111-111111111111'), keyArn('22222222-2222-2222-2222-222222222222')];
const first = newKey().code;
const byKey = {env: {BKP_PASSWORD: first}};
const by = (key: string, home = 'home') => ({env: {BKP_KMS_KEY: key}, home});
const list = ['vault', 'key', 'list', '--format', 'json'];

async function vaultWith(...keys: readonly string[]): Promise<void> {
  await done(bkp(['vault', 'create', '--encrypt'], byKey));
  for (const key of keys) await done(bkp(['vault', 'key', 'add', '--kms', key], byKey));
}

async function done(run: ReturnType<typeof bkp>): Promise<string> {
  const {error, out} = await run;
  if (error !== undefined) throw error;
  return out;
}

async function kinds(run: Run): Promise<string[]> {
  const lines = (await done(bkp(list, run))).trim().split('\n');
  return lines.map((line) => JSON.parse(line)).map((slot) => (slot.opened ? `${slot.kind}, opened` : slot.kind));
}

const slotFiles = () =>
  ['keys/slots', 'keys/spare/slots'].flatMap((under) =>
    readdirSync(join(folder, 'store', under)).map((id) => join(folder, 'store', under, id)),
  );

test('a slot for a KMS key opens with it, and its ciphertext is bound to the vault and the slot', async () => {
  const kms = await startKms();
  await vaultWith(one);
  const slot = slotFiles()
    .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    .find(({kind}) => kind === 'kms');
  expect(slot.wrapped).toEqual({key: one, ciphertext: expect.any(String)});
  const context = {'bkp-vault': slot.vault, 'bkp-slot': slot.id};
  expect(kms.calls).toMatchObject([
    {call: 'Encrypt', KeyId: one, EncryptionContext: context},
    {call: 'Decrypt', KeyId: one, EncryptionContext: context},
  ]);
  expect(await kinds(by(one))).toEqual(['key', 'kms, opened']);
  expect(kms.calls.slice(2)).toMatchObject([{call: 'Decrypt', KeyId: one, EncryptionContext: context}]);
});

test('where only a KMS key is set, a new vault gets a slot for it, and keys are changed with it', async () => {
  await startKms({'alias/bkp': one});
  expect(await done(bkp(['vault', 'create'], by('alias/bkp')))).toContain('encrypted, ring 1-');
  await done(bkp(['vault', 'key', 'rotate'], by('alias/bkp')));
  await done(bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], by(one)));
  expect(await kinds(by(one))).toEqual(['kms, opened', 'kit']);
  const kit = {env: {BKP_PASSWORD_FILE: join(folder, 'kit.txt')}};
  const {slot} = JSON.parse((await done(bkp(list, kit))).split('\n')[0]!);
  await done(bkp(['vault', 'key', 'remove', slot], kit));
  expect((await bkp(list, by(one))).error).toMatchObject({code: 'SECRET_WRONG'});
});

test('a machine that opens a vault by KMS for the first time prints what to compare', async () => {
  await startKms();
  await vaultWith(one);
  expect((await bkp(list, by(one, 'second'))).err).toMatch(/KMS cannot tell who made it: compare its ring, 2-/);
  expect((await bkp(list, by(one, 'second'))).err).toBe('');
});

test('a slot of a key in another region or account is left to that key, without a request', async () => {
  const kms = await startKms();
  await vaultWith(one);
  const before = kms.calls.length;
  expect((await bkp(list, by(other))).error).toMatchObject({code: 'SECRET_WRONG'});
  expect(kms.calls).toHaveLength(before);
});

test('a multi-region key opens with its replica in another region', async () => {
  const id = `mrk-${'1'.repeat(32)}`;
  await startKms();
  await vaultWith(keyArn(id));
  expect(await kinds(by(keyArn(id, 'us-east-1')))).toEqual(['key', 'kms, opened']);
});

const words: [string, {type: string; message?: string; status?: number}, object][] = [
  ['access denied', {type: 'AccessDeniedException'}, {code: 'KMS_DENIED', next: /grant them kms:Decrypt.*kit\.txt/}],
  ['disabled', {type: 'DisabledException'}, {code: 'KMS_DENIED', message: /is disabled/, next: /kms enable-key/}],
  [
    'pending deletion',
    {type: 'KMSInvalidStateException', message: `${one} is pending deletion.`},
    {code: 'KMS_DENIED', message: /pending deletion/, next: /kms cancel-key-deletion/},
  ],
  [
    'deleted',
    {type: 'NotFoundException'},
    {code: 'KMS_DENIED', message: /there is no KMS key/, next: /remove its slot/},
  ],
  ['not for this', {type: 'InvalidKeyUsageException'}, {code: 'KMS_DENIED', next: /symmetric key/}],
  ['expired', {type: 'ExpiredTokenException'}, {code: 'KMS_DENIED', message: /does not accept/, next: /sso login/}],
  ['wrong keys', {type: 'UnrecognizedClientException'}, {code: 'KMS_DENIED', message: /does not accept these/}],
  ['an error of its own', {type: 'KMSInternalException', status: 500}, {code: 'KMS_UNAVAILABLE', retryable: true}],
  ['a key store that is away', {type: 'KeyUnavailableException', status: 500}, {code: 'KMS_UNAVAILABLE'}],
  ['too many requests', {type: 'ThrottlingException'}, {code: 'KMS_UNAVAILABLE', retryable: true}],
  ['another server', {type: 'UnknownOperationException'}, {code: 'KMS_DENIED', next: /AWS_ENDPOINT_URL_KMS/}],
];

test.each(words)('KMS that does not decrypt has its own message and next step: %s', async (_, failure, wanted) => {
  setVariables({AWS_MAX_ATTEMPTS: '1'});
  const kms = await startKms();
  await vaultWith(one);
  kms.failures.set('Decrypt', failure);
  const {error} = await bkp(list, by(one));
  for (const [field, value] of Object.entries(wanted)) {
    const found = error?.[field as keyof BkpError];
    if (value instanceof RegExp) expect(found).toMatch(value);
    else expect(found).toBe(value);
  }
  expect(error?.exitStatus).toBe(error?.code === 'KMS_UNAVAILABLE' ? 1 : 12);
  expect(error?.next).not.toBe(undefined);
});

test('a server that is gone, and credentials or a region that are missing, are told apart', async () => {
  setVariables({AWS_MAX_ATTEMPTS: '1'});
  const kms = await startKms({'alias/bkp': one});
  await vaultWith('alias/bkp');
  kms.stop();
  expect((await bkp(list, by(one))).error).toMatchObject({code: 'KMS_UNAVAILABLE', retryable: true});
  setVariables({AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined, AWS_CONFIG_FILE: '/nowhere'});
  expect((await bkp(list, by('alias/bkp'))).error).toMatchObject({
    code: 'KMS_DENIED',
    message: expect.stringContaining('no AWS region is known'),
  });
  setVariables({AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined});
  setVariables({AWS_SHARED_CREDENTIALS_FILE: '/nowhere'});
  expect((await bkp(list, by(one))).error).toMatchObject({
    code: 'KMS_DENIED',
    message: 'no AWS credentials were found for KMS',
  });
});

test('a slot that KMS does not open never keeps the next one from opening', async () => {
  const kms = await startKms();
  await vaultWith(one, one);
  kms.failures.set('Decrypt', {type: 'DisabledException', times: 1});
  expect(await kinds(by(one))).toEqual(['key', 'kms', 'kms, opened']);
});

test('on a terminal, another secret is asked for when KMS does not answer', async () => {
  setVariables({AWS_MAX_ATTEMPTS: '1'});
  const kms = await startKms();
  await vaultWith(one);
  kms.failures.set('Decrypt', {type: 'KMSInternalException', status: 500});
  const run = {...by(one), typed: (question: string) => (question.startsWith('password of') ? first : undefined)};
  expect(await kinds(run)).toEqual(['key, opened', 'kms']);
  expect((await bkp(list, run)).err).toContain('AWS KMS does not answer');
  expect((await bkp(list, {...run, typed: () => undefined})).error).toMatchObject({code: 'KMS_UNAVAILABLE'});
});

test('a ciphertext that was changed, or taken from another slot, is damage', async () => {
  await startKms();
  await vaultWith(one, one);
  const files = slotFiles().filter((file) => JSON.parse(readFileSync(file, 'utf8')).kind === 'kms');
  const slots = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  for (const [at, file] of files.entries()) {
    const {checksum: _, ...slot} = slots[at];
    const another = slots.find(({id}) => id !== slot.id);
    writeFileSync(file, withChecksum({...slot, wrapped: another.wrapped}));
  }
  expect((await bkp(list, by(one))).error).toMatchObject({code: 'OBJECT_DAMAGED'});
  expect(await kinds(byKey)).toEqual(['key, opened', 'kms', 'kms']);
});

test.each([
  ['Encrypt', 'AccessDeniedException', 'KMS_DENIED'],
  ['Decrypt', 'AccessDeniedException', 'KMS_DENIED'],
])('a slot that these credentials cannot make and open is not added: %s', async (call, type, code) => {
  const kms = await startKms();
  await vaultWith();
  kms.failures.set(call, {type});
  const {error} = await bkp(['vault', 'key', 'add', '--kms', one], byKey);
  expect(error).toMatchObject({code, next: expect.stringContaining(`kms:${call}`)});
  expect(await kinds(byKey)).toEqual(['key, opened']);
});

test('a new vault whose KMS key cannot be used leaves nothing in the store', async () => {
  const kms = await startKms();
  kms.failures.set('Encrypt', {type: 'DisabledException'});
  expect((await bkp(['vault', 'create'], by(one))).error).toMatchObject({code: 'KMS_DENIED'});
  expect(readdirSync(join(folder, 'store'))).not.toContain('bkp.json');
});

test.each(['arn:aws:s3:::bucket', 'bkp', 'arn:aws:kms:eu-central-1:1:key/x', ''])(
  'what is no key of KMS is refused: %j',
  async (key) => {
    await startKms();
    const {error} = await bkp(['vault', 'key', 'add', '--kms', key], byKey);
    expect(error).toMatchObject({code: 'USAGE', message: expect.stringContaining('is not a key of AWS KMS')});
  },
);

test('doctor opens each slot of KMS, names one that does not open, and a vault that only KMS opens', async () => {
  setVariables({AWS_MAX_ATTEMPTS: '1'});
  const kms = await startKms();
  const doctor = async (run: Run) => {
    const {deps, base} = opened(run);
    await runProgram(list, {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''});
    const checks = await checkStores(deps, {repair: false});
    base.close();
    return checks.filter(({what}) => what === 'cluster: keys').map(({ok, detail}) => `${ok}: ${detail}`);
  };
  await done(bkp(['vault', 'create'], by(one)));
  expect(await doctor(by(one))).toEqual([
    expect.stringMatching(/^true: 1 slot, no recovery kit yet: .*, slot [0-9a-f]{8} opens by KMS$/),
    expect.stringContaining('false: only AWS KMS opens the vault'),
  ]);
  await done(bkp(['vault', 'key', 'add', '--kit', 'kit.txt'], by(one)));
  expect(await doctor(by(one))).toEqual([expect.stringMatching(/^true: 2 slots, 1 recovery kit, slot \S+ opens by/)]);
  kms.failures.set('Decrypt', {type: 'DisabledException'});
  const byKit = {env: {BKP_PASSWORD_FILE: join(folder, 'kit.txt')}};
  expect(await doctor(byKit)).toEqual([expect.stringMatching(/^true: .*1 slot of KMS not tried, because vault\.kms/)]);
  const both = {env: {...byKit.env, ...by(one).env}};
  expect(await doctor(both)).toEqual([
    expect.stringMatching(/^true: 2 slots/),
    expect.stringMatching(/^false: slot [0-9a-f]{8} \(\S+\) does not open: the KMS key \S+ is disabled/),
  ]);
  const wrong = {env: {...byKit.env, ...by(other).env}};
  expect(await doctor(wrong)).toContainEqual(expect.stringMatching(/^false: vault\.kms\.key, \S+, opens no slot/));
});
