import {chmodSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {expect, test} from 'vitest';
import {
  chosenStorage,
  describeRate,
  explainSettings,
  exposures,
  loadSettings,
  openProfiles,
  parseRate,
  parseStore,
  storeText,
} from '../../src/config/index.ts';
import fc from '../seeds/fast-check.ts';
import {temporaryHome, writeConfig} from './fixture.ts';

const secrets = 'access_key_id=AKID7;secret_access_key=S3CRET;session_token=T0KEN;';

function world(flags: {store?: string; limitUpload?: string} = {}, env: Record<string, string> = {}) {
  const home = temporaryHome();
  mkdirSync(home.dir, {recursive: true});
  return {home, env, flags, cwd: '/srv'};
}

test('the flag takes precedence, then the environment, a file, and the profile', async () => {
  const input = world();
  const file = join(input.home.dir, 'store.txt');
  writeFileSync(file, 'fs::root=in-file\n\n', {mode: 0o600});
  await (await openProfiles(input.home)).set('default', 'backup.object.store', 'fs::root=in-profile', '/srv');
  const {home} = input;
  const env: Record<string, string> = {
    BKP_STORE: 'fs::root=/1',
    BKP_STORE_FILE: file,
    BKP_BACKUP_OBJECT_STORE: 'fs::root=/3',
    BKP_BACKUP_OBJECT_STORE_FILE: file,
    QDB_BACKUP_OBJECT_STORE: 'fs::root=/5',
    QDB_BACKUP_OBJECT_STORE_FILE: file,
  };
  const places: [string, unknown][] = [];
  for (const flags of [{store: 'fs::root=x'}, {store: 's3'}, {store: 'CLUSTER'}]) {
    const found = (await explainSettings({...input, env, flags})).find(({field}) => field === 'objectStore');
    places.push([found!.origin, found!.shown]);
  }
  for (const name of Object.keys(env)) {
    const found = (await explainSettings({...input, env})).find(({field}) => field === 'objectStore');
    places.push([found!.origin, found!.shown]);
    delete env[name];
  }
  const [last] = (await explainSettings({...input, env})).filter(({field}) => field === 'objectStore');
  places.push([last!.origin, last!.shown]);
  // A relative path in the file starts from the file's folder.
  const inFile = `fs::root=${home.dir}/in-file`;
  expect(places).toEqual([
    ['flag --store', 'fs::root=/srv/x'],
    // A word only selects one of the stores of the profile.
    ['environment BKP_STORE', 'fs::root=/1'],
    ['environment BKP_STORE', 'fs::root=/1'],
    ['environment BKP_STORE', 'fs::root=/1'],
    [`environment BKP_STORE_FILE (${file})`, inFile],
    ['environment BKP_BACKUP_OBJECT_STORE', 'fs::root=/3'],
    [`environment BKP_BACKUP_OBJECT_STORE_FILE (${file})`, inFile],
    ['environment QDB_BACKUP_OBJECT_STORE', 'fs::root=/5'],
    [`environment QDB_BACKUP_OBJECT_STORE_FILE (${file})`, inFile],
    [`profile default (${home.configFile})`, 'fs::root=/srv/in-profile'],
  ]);
});

test('settings contain the credentials, and JSON and inspect do not show them', async () => {
  const settings = await loadSettings(world({store: `s3::bucket=shop;${secrets}`}));
  expect(settings.objectStore?.address).toEqual({kind: 's3', bucket: 'shop', root: '', caBuiltinRoots: true});
  expect(settings.objectStore?.credentials?.secretAccessKey).toBe('S3CRET');
  const shown = [JSON.stringify(settings), inspect(settings, {depth: 9, showHidden: true}), `${settings.objectStore}`];
  for (const text of shown) expect(text).not.toMatch(/AKID7|S3CRET|T0KEN/);
  const text = storeText(settings.objectStore!);
  expect(text).toBe(`s3::bucket=shop;${secrets}`);
  expect(parseStore(text, '/').credentials?.sessionToken).toBe('T0KEN');
});

test.each<[string, (file: string) => void, RegExp, string]>([
  ['missing', () => {}, /^the file .*store\.txt does not exist$/, 'USAGE'],
  ['a folder', (file) => mkdirSync(file), /store\.txt is a folder, not a file$/, 'USAGE'],
  ['empty', (file) => writeFileSync(file, ' \n'), /store\.txt is empty$/, 'USAGE'],
  ['too large', (file) => writeFileSync(file, 'x'.repeat(70_000)), /store\.txt is too large for a setting$/, 'USAGE'],
  ['wrong', (file) => writeFileSync(file, `s3::${secrets}`), /^store: the bucket is missing$/, 'USAGE'],
])('loadSettings reports a store file that is %s', async (_, make, message, code) => {
  const input = world();
  const file = join(input.home.dir, 'store.txt');
  make(file);
  const load = loadSettings({...input, env: {BKP_STORE_FILE: file}});
  await expect(load).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
    cause: `it comes from environment BKP_STORE_FILE (${file})`,
  });
});

test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
  'loadSettings reports a store file that it may not read',
  async () => {
    const input = world();
    const file = join(input.home.dir, 'store.txt');
    writeFileSync(file, 'x', {mode: 0o000});
    await expect(loadSettings({...input, env: {BKP_STORE_FILE: file}})).rejects.toMatchObject({
      code: 'CONFIG_UNAVAILABLE',
      cause: expect.stringContaining('EACCES'),
    });
  },
);

test.skipIf(process.platform === 'win32')('exposures() lists every way to read a secret once', async () => {
  const input = world();
  const file = join(input.home.dir, 'store.txt');
  writeFileSync(file, 'fs::root=/x', {mode: 0o600});
  const env = {BKP_STORE_FILE: file, QDB_BACKUP_OBJECT_STORE_FILE: file};
  expect(await exposures({...input, env: {...env, BKP_BACKUP_OBJECT_STORE_FILE: '/not/there'}})).toEqual([]);
  chmodSync(file, 0o640);
  writeConfig(input.home, {version: 1, active: 'default', profiles: {default: {}}});
  chmodSync(input.home.configFile, 0o604);
  const told = await exposures({...input, env, flags: {store: `s3::bucket=b1;${secrets}`}});
  expect(told).toEqual([
    `other users may read ${input.home.configFile} (mode 604); close it: chmod 600 ${input.home.configFile}`,
    `other users may read ${file} (mode 640); close it: chmod 600 ${file}`,
    expect.stringMatching(/^the secret in --store is visible in the shell's history/),
  ]);
  expect(told.join()).not.toMatch(/AKID7|S3CRET|T0KEN/);
});

test.each([
  [undefined, undefined],
  ['s3', 's3'],
  ['Cluster', 'cluster'],
  ['s3://shop', 's3'],
  ['fs::root=/x', 's3'],
])('--store %s means %s', (store, storage) => {
  expect(chosenStorage(store === undefined ? {} : {store})).toBe(storage);
});

test.each([
  ['off', undefined],
  ['OFF', undefined],
  ['10MB', 10_000_000],
  ['10 mb/s', 10_000_000],
  ['1.5GB', 1_500_000_000],
  ['16KiB', 16_384],
  ['16384', 16_384],
  ['20000B', 20_000],
  ['2GiB', 2_147_483_648],
  ['1MiB', 1_048_576],
  ['512KB', 512_000],
])('%s is %s bytes per second', (text, bytesPerSecond) => {
  expect(parseRate(text)).toBe(bytesPerSecond);
});

test.each(['', '10', '10M', '-1MB', '10 Mbit', '1e9', 'fast', '16383', '9999999999GB', '0', 'Infinity'])(
  '%j is not a rate',
  (text) => {
    expect(() => parseRate(text)).toThrow(expect.objectContaining({code: 'USAGE', next: expect.any(String)}));
  },
);

// A failing run prints its seed.
test('describeRate gives a text that parseRate reads back', () => {
  fc.assert(
    fc.property(fc.integer({min: 16_384, max: 2 ** 45}), (rate) => {
      expect(parseRate(describeRate(rate))).toBe(rate);
    }),
  );
});

test('limits and a lock are read and checked, and off removes them', async () => {
  const input = world();
  const profiles = await openProfiles(input.home);
  expect(await profiles.set('default', 'backup.limit.upload', '2048kib', '/')).toBe('2MiB');
  expect(await profiles.set('default', 'backup.limit.download', 'Off', '/')).toBe('off');
  expect(await profiles.set('default', 'backup.object.store.lock', '30d', '/')).toBe('30d');
  expect(await loadSettings(input)).toMatchObject({limitUpload: 2 ** 21, limitDownload: undefined, lockDays: 30});
  const without = await loadSettings({
    ...input,
    env: {BKP_BACKUP_OBJECT_STORE_LOCK: 'off'},
    flags: {limitUpload: 'off'},
  });
  expect([without.limitUpload, without.lockDays]).toEqual([undefined, undefined]);
  for (const [key, text] of [
    ['backup.object.store.lock', '30'],
    ['backup.object.store.lock', '0d'],
    ['backup.object.store.lock', '36501d'],
    ['backup.object.store.requests', '65'],
    ['backup.limit.upload', 'fast'],
  ] as const) {
    await expect(profiles.set('default', key, text, '/')).rejects.toMatchObject({
      message: `${key} cannot be "${text}"`,
      next: expect.stringMatching(/^accepted: /),
    });
  }
  await expect(loadSettings({...input, flags: {limitUpload: '1KB'}})).rejects.toMatchObject({
    message: 'a limit of 1000 bytes per second is too low: the minimum is 16KiB',
    cause: expect.stringMatching(/^servers abort .*; it comes from flag --limit-upload$/),
  });
});
