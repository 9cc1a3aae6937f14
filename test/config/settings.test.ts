import {mkdirSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {expect, test} from 'vitest';
import {explainSettings, knownSettings, loadSettings, openProfiles, profileName} from '../../src/config/index.ts';
import {temporaryHome, writeConfig} from './fixture.ts';

const cwd = '/srv';

test('without any setting, the defaults apply', async () => {
  const home = temporaryHome();
  expect(await loadSettings({home, env: {}, flags: {}, cwd: '/work'})).toEqual({
    source: undefined,
    sourcePassword: undefined,
    sourceToken: undefined,
    cluster: home.clusterDir,
    check: 'quick',
    objectStore: undefined,
    lockDays: undefined,
    requestsAtOnce: 4,
    limitUpload: undefined,
    limitDownload: undefined,
    enabled: true,
    scheduleLine: undefined,
    verifyLine: undefined,
    drillLine: undefined,
    verifyBudget: undefined,
    scheduleZone: 'UTC',
    keepLatest: 5,
    keepHourly: undefined,
    keepDaily: undefined,
    keepWeekly: undefined,
    keepMonthly: undefined,
    keepYearly: undefined,
    keepWithin: undefined,
    partitionHashes: true,
    verifyHashes: true,
    compressionLevel: 1,
    compressionThreads: availableParallelism(),
    niceness: 5,
    scratch: undefined,
    questdbCommand: undefined,
    checkSeconds: 3600,
    selectRows: 100_000,
    selectSeconds: 30,
    selectMebibytes: 256,
    selectDisk: 16_384,
    notifyOnFailure: undefined,
    notifyOnSuccess: undefined,
    notifyHeartbeat: undefined,
    vaultPassword: undefined,
    vaultPasswordCommand: undefined,
    clusterEncryption: 'auto',
    s3Encryption: 'auto',
  });
});

test('flag, environment, profile, default take precedence in this order, and the origin is reported', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  await profiles.set('default', 'source', 'profile.db', cwd);
  await profiles.set('default', 'check', 'full', cwd);
  const env = {BKP_SOURCE: 'environment.db', BKP_CLUSTER: '', QDB_BACKUP_COMPRESSION_LEVEL: '5'};
  const origins = async (flags: {source?: string}, environment: Record<string, string>) =>
    (await explainSettings({home, env: environment, flags, cwd})).map(({key, value, origin}) => [key, value, origin]);

  const inProfile = `profile default (${home.configFile})`;
  expect(await origins({source: 'flag.db'}, env)).toEqual([
    ['source', 'sqlite::path=/srv/flag.db', 'flag --source'],
    ['source.password', undefined, 'not set'],
    ['source.token', undefined, 'not set'],
    // An empty variable counts as absent.
    ['cluster', home.clusterDir, 'default'],
    ['check', 'full', inProfile],
    ['backup.object.store', undefined, 'not set'],
    ['backup.object.store.lock', undefined, 'default'],
    ['backup.object.store.requests', 4, 'default'],
    ['backup.limit.upload', undefined, 'default'],
    ['backup.limit.download', undefined, 'default'],
    ['backup.enabled', true, 'default'],
    ['backup.schedule.cron', undefined, 'not set'],
    ['backup.schedule.verify.cron', undefined, 'not set'],
    ['backup.schedule.drill.cron', undefined, 'not set'],
    ['backup.verify.budget', undefined, 'default'],
    ['backup.schedule.tz', 'UTC', 'default'],
    ['backup.cleanup.keep.latest.n', 5, 'default'],
    ['backup.cleanup.keep.hourly', undefined, 'default'],
    ['backup.cleanup.keep.daily', undefined, 'default'],
    ['backup.cleanup.keep.weekly', undefined, 'default'],
    ['backup.cleanup.keep.monthly', undefined, 'default'],
    ['backup.cleanup.keep.yearly', undefined, 'default'],
    ['backup.cleanup.keep.within', undefined, 'default'],
    ['backup.cleanup.keep.verified', undefined, 'default'],
    ['backup.enable.partition.hashes', true, 'default'],
    ['backup.verify.partition.hashes', true, 'default'],
    ['backup.compression.level', 5, 'environment QDB_BACKUP_COMPRESSION_LEVEL'],
    ['backup.compression.threads', availableParallelism(), 'default'],
    ['backup.niceness', 5, 'default'],
    ['verify.scratch', undefined, 'not set'],
    ['verify.questdb.command', undefined, 'not set'],
    ['verify.query.seconds', 3600, 'default'],
    ['select.limit.rows', 100_000, 'default'],
    ['select.limit.seconds', 30, 'default'],
    ['select.limit.mebibytes', 256, 'default'],
    ['select.limit.disk', 16_384, 'default'],
    ['notify.on_failure', undefined, 'default'],
    ['notify.on_success', undefined, 'default'],
    ['notify.heartbeat', undefined, 'default'],
    ['vault.password', undefined, 'not set'],
    ['vault.password.command', undefined, 'not set'],
    ['vault.age.identity', undefined, 'not set'],
    ['vault.kms.key', undefined, 'not set'],
    ['vault.cluster.encryption', 'auto', 'default'],
    ['vault.s3.encryption', 'auto', 'default'],
  ]);
  expect((await origins({}, env))[0]).toEqual(['source', 'sqlite::path=/srv/environment.db', 'environment BKP_SOURCE']);
  expect((await origins({}, {}))[0]).toEqual(['source', 'sqlite::path=/srv/profile.db', inProfile]);
  expect(
    (await origins({}, {...env, BKP_BACKUP_COMPRESSION_LEVEL: '7'})).find(
      ([key]) => key === 'backup.compression.level',
    ),
  ).toEqual(['backup.compression.level', 7, 'environment BKP_BACKUP_COMPRESSION_LEVEL']);
});

test('the origin of an unset setting is `not set`', async () => {
  const [source] = await explainSettings({home: temporaryHome(), env: {}, flags: {}, cwd: '/work'});
  expect(source).toMatchObject({key: 'source', origin: 'not set'});
  expect(source).not.toHaveProperty('value');
});

test('the profile is that of the flag, else of the environment, else the active one', async () => {
  const home = temporaryHome();
  const profiles = await openProfiles(home);
  for (const name of ['active', 'env', 'flag']) {
    await profiles.create(name);
    await profiles.set(name, 'source', `${name}.db`, cwd);
  }
  await profiles.activate('active');
  const sourceWith = async (env: Record<string, string>, flags: {profile?: string}) =>
    (await loadSettings({home, env, flags, cwd: '/work'})).source;
  expect(await sourceWith({BKP_PROFILE: 'env'}, {profile: 'flag'})).toBe('sqlite::path=/srv/flag.db');
  expect(await sourceWith({BKP_PROFILE: 'env'}, {})).toBe('sqlite::path=/srv/env.db');
  expect(await sourceWith({BKP_PROFILE: ''}, {})).toBe('sqlite::path=/srv/active.db');
  expect(await profileName({home, env: {}, flags: {}})).toBe('active');
  await expect(sourceWith({}, {profile: 'flg'})).rejects.toMatchObject({code: 'USAGE', next: 'did you mean flag?'});
});

test('a file edited by hand may contain plain values, and paths relative to the file', async () => {
  const home = temporaryHome();
  mkdirSync(home.dir);
  const values = {source: 'app.db', 'backup.enabled': false, 'backup.compression.level': 9};
  writeConfig(home, {version: 1, active: 'default', profiles: {default: values}});
  expect(await loadSettings({home, env: {}, flags: {}, cwd})).toMatchObject({
    source: `sqlite::path=${home.dir}/app.db`,
    enabled: false,
    compressionLevel: 9,
  });
});

test('the error for an invalid value contains its origin', async () => {
  const home = temporaryHome();
  mkdirSync(home.dir);
  writeConfig(home, {version: 1, active: 'default', profiles: {default: {check: 'fast'}, typo: {chek: 'full'}}});
  const load = (env: Record<string, string>, flags: {source?: string; profile?: string} = {}) =>
    loadSettings({home, env, flags, cwd});
  await expect(load({})).rejects.toMatchObject({
    message: 'check cannot be "fast"',
    cause: `it comes from profile default (${home.configFile})`,
    next: 'accepted: quick or full',
  });
  await expect(load({BKP_CHECK: 'slow'})).rejects.toMatchObject({
    message: 'check cannot be "slow"',
    cause: 'it comes from environment BKP_CHECK',
  });
  await expect(load({}, {source: 'mysql://x'})).rejects.toMatchObject({
    code: 'USAGE',
    cause: 'it comes from flag --source',
  });
  await expect(load({}, {profile: 'typo'})).rejects.toMatchObject({
    message: 'unknown setting "chek"',
    cause: `it comes from profile typo (${home.configFile})`,
    next: 'did you mean check?; or bkp --profile typo config unset chek',
  });
});

test('every key is in the table once', async () => {
  const keys = (await knownSettings()).map(({key}) => key);
  expect(new Set(keys).size).toBe(keys.length);
});
