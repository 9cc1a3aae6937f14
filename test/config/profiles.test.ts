import {chmodSync, mkdirSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {expect, test} from 'vitest';
import {exposure, openProfiles} from '../../src/config/index.ts';
import {readConfig, temporaryHome, writeConfig} from './fixture.ts';

test('reading a home without a configuration creates no file', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  expect([profiles.active(), profiles.list(), profiles.values('default')]).toEqual(['default', ['default'], {}]);
  expect(readConfig(home)).toBeUndefined();
});

test('set() checks a value, makes paths absolute, and writes a file that only its owner can read', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  expect(await profiles.set('default', 'source', './app.db', '/srv')).toBe('sqlite::path=/srv/app.db');
  expect(await profiles.set('default', 'Backup.Compression.Level', '07', '/srv')).toBe('7');
  expect(readConfig(home)).toEqual({
    version: 1,
    active: 'default',
    profiles: {default: {source: 'sqlite::path=/srv/app.db', 'backup.compression.level': '7'}},
  });
  expect(statSync(home.configFile).mode & 0o777).toBe(0o600);
  expect(statSync(home.dir).mode & 0o777).toBe(0o700);
  expect(readdirSync(home.dir)).toEqual(['config.json']);
});

test.each([
  ['sorce', 'x', 'unknown setting "sorce"', 'did you mean source?'],
  ['colour', 'x', 'unknown setting "colour"', 'bkp config list shows all settings'],
  ['vault.password=hush', 'x', 'unknown setting "vault.password"', 'did you mean vault.password VALUE, with a space?'],
  ['check', 'fast', 'check cannot be "fast"', 'accepted: quick or full'],
  ['backup.enabled', 'yes', 'backup.enabled cannot be "yes"', 'accepted: true or false'],
  ['backup.enabled', 'constructor', 'backup.enabled cannot be "constructor"', 'accepted: true or false'],
  [
    'backup.compression.level',
    '23',
    'backup.compression.level cannot be "23"',
    'accepted: a whole number from 1 to 22',
  ],
  [
    'backup.verify.partition.hashes',
    'false',
    'backup.verify.partition.hashes cannot be "false"',
    'accepted: true: hashes cannot be switched off',
  ],
  ['backup.compression.level', '', 'backup.compression.level cannot be ""', 'accepted: a whole number from 1 to 22'],
  [
    'backup.compression.threads',
    '1.5',
    'backup.compression.threads cannot be "1.5"',
    'accepted: a whole number from 1 to 256',
  ],
  ['cluster', ' ', 'cluster cannot be " "', 'accepted: the path of a directory'],
  ['cluster', '~/c', 'cluster: ~ does not stand for a folder here', 'write the folder out, or use $HOME'],
  [
    'source',
    'sqlite::',
    'source: the path of the database is missing',
    'write sqlite::path=./app.db, or simply ./app.db',
  ],
])('set() refuses %s = %j and writes nothing', async (key, text, message, next) => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  await expect(profiles.set('default', key, text, '/')).rejects.toMatchObject({code: 'USAGE', message, next});
  expect(readConfig(home)).toBeUndefined();
});

test('unset() removes a value, also of an unknown key', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  await profiles.set('default', 'check', 'full', '/');
  expect(await profiles.unset('default', 'check')).toBe(true);
  expect(await profiles.unset('default', 'check')).toBe(false);
  await expect(profiles.unset('default', 'chek')).rejects.toMatchObject({next: 'did you mean check?'});
  writeConfig(home, {version: 1, active: 'default', profiles: {default: {chek: 'full'}}});
  expect(await profiles.unset('default', 'chek')).toBe(true);
  expect(profiles.values('default')).toEqual({});
});

test('profiles can be created, activated and deleted', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  await profiles.create('prod');
  await profiles.set('prod', 'check', 'full', '/');
  expect([profiles.list(), profiles.active()]).toEqual([['default', 'prod'], 'default']);
  await profiles.activate('prod');
  expect(profiles.active()).toBe('prod');
  await profiles.delete('default');
  expect(profiles.list()).toEqual(['prod']);
});

test('invalid changes of profiles fail with a reason', async () => {
  const profiles = await openProfiles(temporaryHome());
  await profiles.create('prod');
  await expect(profiles.create('prod')).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: 'profile prod exists already',
  });
  await expect(profiles.create('a b')).rejects.toMatchObject({code: 'USAGE'});
  await expect(profiles.create('__proto__')).rejects.toMatchObject({code: 'USAGE'});
  await expect(profiles.delete('default')).rejects.toMatchObject({code: 'PRECONDITION'});
  await expect(profiles.activate('pord')).rejects.toMatchObject({code: 'USAGE', next: 'did you mean prod?'});
  await expect(profiles.set('constructor', 'check', 'full', '/')).rejects.toMatchObject({
    message: 'there is no profile "constructor"',
    next: 'the profiles are default, prod; create one with bkp config profile create NAME',
  });
});

test.each([
  ['', 'USAGE', /is damaged$/],
  ['{"version":1,', 'USAGE', /is damaged$/],
  ['null', 'USAGE', /is damaged$/],
  ['[]', 'USAGE', /is damaged$/],
  ['{}', 'USAGE', /is damaged$/],
  ['{"version":1,"active":7,"profiles":{}}', 'USAGE', /is damaged$/],
  ['{"version":1,"active":"a","profiles":[]}', 'USAGE', /is damaged$/],
  ['{"version":1,"active":"a","profiles":{"a":"b"}}', 'USAGE', /is damaged$/],
  ['{"version":1,"active":"a","profiles":{"a":{"check":["full"]}}}', 'USAGE', /is damaged$/],
  [
    '{"version":2,"active":"default","profiles":{},"more":1}',
    'NEWER_VERSION',
    /^a newer bkp wrote the configuration .* \(version 2, known: 1\)$/,
  ],
])('the file %j is refused and not changed', async (text, code, message) => {
  const home = temporaryHome();
  mkdirSync(home.dir);
  writeConfig(home, text);
  const profiles = await openProfiles(home);
  expect(() => profiles.list()).toThrow(expect.objectContaining({code, message: expect.stringMatching(message)}));
  await expect(profiles.set('default', 'check', 'full', '/')).rejects.toMatchObject({code});
  expect(readFileSync(home.configFile, 'utf8')).toBe(text);
});

test.each([
  ['{"version":1,"active":"default","profiles":{"default":{\n"vault.password": hunter2"}}}', 'see line 2, column 19'],
  ['hunter2', 'see line 1, column 1'],
  ['{"version":1,"active":47118,"profiles":{}}', 'active: Invalid type: Expected string but received a number'],
  ['{"version":"hunter2","active":"","profiles":{}}', 'version: Invalid type: Expected 1 but received another text'],
])('what is wrong with the file %j is told without its values, which may be secrets', async (text, why) => {
  const home = temporaryHome();
  mkdirSync(home.dir);
  writeConfig(home, text);
  const profiles = await openProfiles(home);
  expect(() => profiles.list()).toThrow(expect.objectContaining({code: 'USAGE', cause: expect.stringContaining(why)}));
  expect(() => profiles.list()).toThrow(expect.objectContaining({cause: expect.not.stringMatching(/hunter|4711/)}));
});

test('a file that cannot be read or written fails with CONFIG_UNAVAILABLE', async () => {
  const home = temporaryHome();
  mkdirSync(home.configFile, {recursive: true});
  const profiles = await openProfiles(home);
  expect(() => profiles.list()).toThrow(expect.objectContaining({code: 'CONFIG_UNAVAILABLE'}));
  const inside = await openProfiles({configFile: `${import.meta.filename}/config.json`});
  await expect(inside.set('default', 'check', 'full', '/')).rejects.toMatchObject({code: 'CONFIG_UNAVAILABLE'});
});

test.skipIf(process.platform === 'win32')('exposure() reports a file that other users may read', async () => {
  const home = temporaryHome();
  expect(await exposure(home)).toBeUndefined();
  await (await openProfiles(home)).set('default', 'check', 'full', '/');
  expect(await exposure(home)).toBeUndefined();
  chmodSync(home.configFile, 0o644);
  expect(await exposure(home)).toBe(`other users may read ${home.configFile} (mode 644)`);
});
