import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {generateHybridIdentity, generateX25519Identity, identityToRecipient} from 'age-encryption';
import {expect, onTestFinished, test} from 'vitest';
import {serverFile} from '../../scripts/servers.js';
import {bkpFile} from '../helpers/bkp.ts';

const readerFile = join(import.meta.dirname, '../../bin/bkp-reader.mjs');

test.each([
  ['X25519', generateX25519Identity],
  ['post-quantum', generateHybridIdentity],
])('the program age makes of a slot the key that opens it, for bkp and for the reader: %s', async (_, generate) => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-age-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  const file = (name: string) => join(folder, name);
  mkdirSync(file('store'));
  const identity = await generate();
  writeFileSync(file('identity.txt'), `${identity}\n`, {mode: 0o600});
  writeFileSync(file('password.txt'), 'a password\n', {mode: 0o600});
  const node = (entry: string, args: readonly string[], env: Record<string, string>) =>
    execFileSync(process.execPath, [entry, ...args], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
      env: {PATH: process.env.PATH, BKP_HOME: file('home'), ...env},
    });
  const vault = (env: Record<string, string>, ...args: string[]) =>
    node(bkpFile, ['--cluster', file('store'), 'vault', ...args], env);
  const byPassword = {BKP_PASSWORD_FILE: file('password.txt')};

  vault(byPassword, 'create', '--encrypt');
  vault(byPassword, 'key', 'add', '--age', await identityToRecipient(identity));

  const slots = readdirSync(file('store/keys/slots')).map((id) =>
    JSON.parse(readFileSync(join(file('store/keys/slots'), id), 'utf8')),
  );
  const slot = slots.find(({kind}) => kind === 'age');
  const key = execFileSync(serverFile('age'), ['--decrypt', '-i', file('identity.txt')], {input: slot.wrapped.file});
  writeFileSync(file('key.txt'), key, {mode: 0o600});

  const listed = vault({BKP_PASSWORD_FILE: file('key.txt')}, 'key', 'list', '--format', 'json');
  const opened = listed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((one) => one.opened);
  expect(opened).toMatchObject([{kind: 'age'}]);
  // Nothing is in the vault: it must only open.
  expect(node(readerFile, [file('store'), '--password-file', file('key.txt')], {})).not.toContain('opens no slot');
  writeFileSync(file('wrong.txt'), 'another password');
  expect(() => node(readerFile, [file('store'), '--password-file', file('wrong.txt')], {})).toThrow(
    new RegExp(`slot ${slot.id.slice(0, 8)} opens with age`),
  );
});
