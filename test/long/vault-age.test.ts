import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import * as age from 'age-encryption';
import {beforeEach, expect, onTestFinished, test} from 'vitest';
import {optionalPackage} from '../../src/app/places/optional-package.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';
import {runProgram} from '../../src/commands/program.ts';
import {loadSettings} from '../../src/config/index.ts';
import {asPlain} from '../../src/errors/index.ts';
import {newKey} from '../../src/vault/index.ts';
import {testDeps} from '../helpers/deps.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-age-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
});

type Run = {env?: Record<string, string>; home?: string; typed?: () => string};

async function bkp(args: readonly string[], {env: extra = {}, home = 'home', typed}: Run = {}) {
  const base = testDeps(join(folder, home));
  const env = {...base.env, ...extra};
  const flags = {color: false, cluster: join(folder, 'store')};
  const settings = () => loadSettings({flags, env, home: base.home, cwd: folder});
  const deps: CommandDeps = {...base, env, flags, cwd: folder, keyChain: {slots: new Map()}, settings};
  if (typed !== undefined) Object.assign(deps, {askSecret: async () => typed()});
  const parts = {openDeps: async () => deps, write: () => {}, columns: 80, version: () => ''};
  const error = await runProgram(args, parts).then(
    () => undefined,
    (thrown: {code: string; message: string; next?: string}) => thrown,
  );
  base.close();
  return {error, out: base.out(), err: base.err()};
}

const first = newKey().code;
const byKey = {env: {BKP_PASSWORD: first}};
const create = () => bkp(['vault', 'create', '--encrypt'], byKey);

function fileWith(text: string): string {
  const path = join(folder, `identity-${Math.abs(text.length * 31 + text.charCodeAt(20))}.txt`);
  writeFileSync(path, text, {mode: 0o600});
  return path;
}
/** As age-keygen writes it. */
const identityFile = (identity: string) => fileWith(`# created: 2026-11-27\n# public key: …\n${identity}\n`);
const by = (identity: string, home = 'home') => ({env: {BKP_AGE_IDENTITY_FILE: identityFile(identity)}, home});

async function kinds(run: Run): Promise<string[]> {
  const {out, error} = await bkp(['vault', 'key', 'list', '--format', 'json'], run);
  if (error !== undefined) throw error;
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({kind, opened}) => (opened ? `${kind}, opened` : kind));
}

test.each([
  ['X25519', age.generateX25519Identity],
  ['post-quantum', age.generateHybridIdentity],
])('a slot for a recipient of age opens with its identity: %s', async (_, generate) => {
  await create();
  const identity = await generate();
  const recipient = await age.identityToRecipient(identity);
  const added = await bkp(['vault', 'key', 'add', '--age', recipient], byKey);
  expect(added.error).toBeUndefined();
  expect(added.out).toMatch(/^added slot [0-9a-f]{8} \(age1\S{8}…\), opened by age\n/);
  expect(await kinds(by(identity))).toEqual(['key', 'age, opened']);
});

test('any recipient of a file opens the slot, and no other identity does', async () => {
  await create();
  const [anna, ben, eve] = await Promise.all([1, 2, 3].map(() => age.generateX25519Identity()));
  const recipients = await Promise.all([anna!, ben!].map((one) => age.identityToRecipient(one)));
  writeFileSync(join(folder, 'team.txt'), `# the team\n${recipients.join('\n')}\n\n`);
  expect((await bkp(['vault', 'key', 'add', '--age', 'team.txt', '--label', 'team'], byKey)).error).toBeUndefined();
  for (const one of [anna!, ben!]) expect(await kinds(by(one))).toContain('age, opened');
  expect((await bkp(['vault', 'key', 'list'], by(eve!))).error).toMatchObject({
    code: 'SECRET_WRONG',
    message: expect.stringContaining('this age identity opens no slot'),
  });
});

test('a machine that opens a vault by age for the first time is told what to compare', async () => {
  await create();
  const identity = await age.generateX25519Identity();
  await bkp(['vault', 'key', 'add', '--age', await age.identityToRecipient(identity)], byKey);
  expect((await bkp(['vault', 'key', 'list'], by(identity, 'other'))).err).toMatch(/its ring, 2-[0-9a-f-]+, with/);
  expect((await bkp(['vault', 'key', 'list'], by(identity, 'other'))).err).toBe('');
});

test('where only an identity is set, a new vault gets a slot for it, and a plain one is refused', async () => {
  const identity = await age.generateX25519Identity();
  expect((await bkp(['vault', 'create'], by(identity))).out).toContain('encrypted, ring 1-');
  expect(await kinds(by(identity))).toEqual(['age, opened']);
  const {error} = await bkp(['vault', 'key', 'passwd', '--password-file', fileWith('new')], by(identity));
  expect(error).toMatchObject({code: 'PRECONDITION', message: expect.stringContaining('has no password')});
});

test('an identity file with a passphrase asks for it, and a wrong one is named', async () => {
  const identity = await age.generateX25519Identity();
  const encrypter = new age.Encrypter();
  encrypter.setPassphrase('correct horse');
  encrypter.setScryptWorkFactor(10);
  const file = join(folder, 'identity.age');
  writeFileSync(file, await encrypter.encrypt(`${identity}\n`));
  const env = {BKP_AGE_IDENTITY_FILE: file};
  expect((await bkp(['vault', 'create'], {env, typed: () => 'correct horse'})).error).toBeUndefined();
  const wrong = await bkp(['vault', 'key', 'list'], {env, typed: () => 'wrong'});
  expect(wrong.error).toMatchObject({code: 'SECRET_MISSING', cause: 'its passphrase is another one'});
  expect((await bkp(['vault', 'key', 'list'], {env})).error).toMatchObject({code: 'SECRET_MISSING'});
});

test.each([
  ['SSH key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKTJ'],
  ['mistyped recipient', 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kdaqdgkesnnawxq'],
])('what is no recipient is refused before a secret is asked for: %s', async (_, text) => {
  const file = fileWith(`${text}\n`);
  const {error} = await bkp(['vault', 'key', 'add', '--age', file]);
  expect(error).toMatchObject({code: 'USAGE', message: expect.stringContaining('is not a recipient of age')});
});

test('an identity that others can read is used with a warning, unless it has a passphrase', async () => {
  const identity = await age.generateX25519Identity();
  await bkp(['vault', 'create'], by(identity));
  const file = join(folder, "anna's identity.txt");
  writeFileSync(file, `${identity}\n`);
  chmodSync(file, 0o644);
  const open = await bkp(['vault', 'key', 'list'], {env: {BKP_AGE_IDENTITY_FILE: file}});
  expect(open.error).toBeUndefined();
  expect(open.err).toContain(`other users may read ${file} (mode 644); close it: chmod 600 '`);
  chmodSync(file, 0o600);
  expect((await bkp(['vault', 'key', 'list'], {env: {BKP_AGE_IDENTITY_FILE: file}})).err).toBe('');
  const password = join(folder, 'new.txt');
  writeFileSync(password, 'another password');
  chmodSync(password, 0o640);
  const added = await bkp(['vault', 'key', 'add', '--password-file', 'new.txt'], by(identity));
  expect(added.err).toContain(`other users may read ${password} (mode 640)`);
});

test('an identity that cannot be used is never repeated in a message', async () => {
  await create();
  const identity = await age.generateX25519Identity();
  const run = {env: {BKP_AGE_IDENTITY_FILE: fileWith(identity.slice(0, -1))}};
  const {error, err} = await bkp(['vault', 'key', 'list'], run);
  expect(error).toMatchObject({code: 'SECRET_MISSING', message: expect.stringContaining('age identity')});
  expect(JSON.stringify(error) + String(error) + err).not.toContain(identity.slice(20, 40));
  const gone = await bkp(['vault', 'key', 'list'], {env: {BKP_AGE_IDENTITY_FILE: join(folder, 'gone')}});
  expect(gone.error).toMatchObject({code: 'SECRET_MISSING'});
});

test('the key that an age file holds opens its slot as any key does', async () => {
  const identity = await age.generateX25519Identity();
  await bkp(['vault', 'create'], by(identity));
  const slots = join(folder, 'store', 'keys', 'slots');
  const [id] = readdirSync(slots);
  const {wrapped} = JSON.parse(readFileSync(join(slots, id!), 'utf8'));
  const decrypter = new age.Decrypter();
  decrypter.addIdentity(identity);
  const code = await decrypter.decrypt(age.armor.decode(wrapped.file), 'text');
  expect(code).toMatch(/^BKP-KEY1-\S+\n$/);
  expect(await kinds({env: {BKP_PASSWORD: code.trim()}})).toEqual(['age, opened']);
});

test('the command that the reader prints for a slot of age works in a folder with a quote in its name', async () => {
  const identity = await age.generateX25519Identity();
  await bkp(['vault', 'create'], by(identity));
  const copy = join(folder, `anna's "copy" $HOME`);
  cpSync(join(folder, 'store'), copy, {recursive: true});
  const reader = join(import.meta.dirname, '../../bin/bkp-reader.mjs');
  const {stderr} = spawnSync(process.execPath, [reader, copy, '--password-file', fileWith('wrong')], {
    encoding: 'utf8',
  });
  const [, print] = /^ {2}(node -p .*) \| age -d -i IDENTITY > key\.txt$/m.exec(stderr) ?? [];
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const armored = execFileSync('sh', ['-c', print!], {encoding: 'utf8', env: {PATH: path, HOME: '/'}});
  expect(armored).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
});

test('a package that is missing is named with the command that installs it', async () => {
  const missing = () => Promise.reject(Object.assign(new Error('no package'), {code: 'ERR_MODULE_NOT_FOUND'}));
  await expect(optionalPackage('age-encryption', 'a slot for age', missing)).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'a slot for age needs the package age-encryption, which is not installed',
    next: expect.stringContaining('npm install -g age-encryption'),
  });
});

test('an identity in place of a recipient is refused without a word of it', async () => {
  await create();
  const identity = await age.generateIdentity();
  for (const given of [identityFile(identity), identity]) {
    const {error, out, err} = await bkp(['vault', 'key', 'add', '--age', given], byKey);
    expect(error).toMatchObject({code: 'USAGE', message: 'that is not a recipient of age'});
    expect(JSON.stringify([asPlain(error), out, err])).not.toMatch(/AGE-SECRET-KEY/i);
  }
});
