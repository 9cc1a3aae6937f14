import {chmodSync, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {Readable} from 'node:stream';
import {expect, test} from 'vitest';
import type {GlobalFlags} from '../../../src/app/deps.ts';
import {configGet} from '../../../src/commands/config/get.ts';
import {command} from '../../../src/commands/config/index.ts';
import {configList} from '../../../src/commands/config/list.ts';
import {configProfileChange} from '../../../src/commands/config/profile.ts';
import {configSet, runConfigSet} from '../../../src/commands/config/set.ts';
import type {CommandDeps} from '../../../src/commands/deps.ts';
import {asPlain, ExitStatus, renderError} from '../../../src/errors/index.ts';
import {readConfig, temporaryHome} from '../../config/fixture.ts';

type World = {env?: Record<string, string>; flags?: Partial<GlobalFlags>; stdin?: string};

/** A home, and a function that runs `bkp config …` in it. */
function terminal() {
  const home = temporaryHome();
  return {
    home,
    async type(words: readonly string[], {env = {}, flags = {}, stdin = ''}: World = {}) {
      const said = {out: '', err: ''};
      let status: number | undefined;
      const deps = {
        home,
        env,
        cwd: process.cwd(),
        flags: {color: false, ...flags},
        stdin: Readable.from([Buffer.from(stdin)]),
        stdout: {write: (text: string) => (said.out += text)},
        stderr: {write: (text: string) => (said.err += text)},
        warn: (text: string) => (said.err += `bkp: ${text}\n`),
        exitWith: (value: ExitStatus) => {
          status = value;
        },
      } as unknown as CommandDeps;
      try {
        await command(deps).parseAsync(words, {from: 'user'});
      } catch (error) {
        return {...said, err: said.err + renderError(asPlain(error))};
      }
      expect(status).toBe(ExitStatus.done);
      return said;
    },
  };
}

test('config sets, gets, lists and unsets a value', async () => {
  const {type, home} = terminal();
  const database = resolve('app.db');
  expect(await type(['set', 'Source', './app.db'])).toEqual({
    out: '',
    err: `bkp: source is sqlite::path=${database} in profile default\n`,
  });
  expect((await type(['get', 'source'])).out).toBe(`sqlite::path=${database}\n`);
  const listed = (await type(['list', '--show-origin'])).out;
  expect(listed).toMatch(/^key +value +origin\nsource +sqlite::path=\S+ +profile default \(\S+\)\n[\s\S]*\ncluster +/);
  expect(listed).toContain(`(${home.configFile})`);
  expect(await type(['unset', 'source'])).toEqual({out: '', err: ''});
  expect(await type(['unset', 'source'])).toEqual({out: '', err: 'bkp: source was not set in profile default\n'});
  expect(await type(['get', 'source'])).toEqual({
    out: '',
    err: 'bkp: source is not set (BAD_REQUEST)\nnext:  bkp config set source VALUE\n',
  });
});

test('config list prints text and JSON', async () => {
  const {type, home} = terminal();
  const env = {BKP_BACKUP_COMPRESSION_THREADS: '2', BKP_BACKUP_LIMIT_UPLOAD: '10000kb'};
  expect(`\n${(await type(['list'], {env})).out.replaceAll(home.dir, '/home')}`).toBe(`
key                             value
source                          -
source.password                 -
source.token                    -
cluster                         /home/cluster
check                           quick
backup.object.store             -
backup.object.store.lock        off
backup.object.store.requests    4
backup.limit.upload             10MB
backup.limit.download           off
backup.enabled                  true
backup.schedule.cron            -
backup.schedule.verify.cron     -
backup.schedule.drill.cron      -
backup.verify.budget            off
backup.schedule.tz              UTC
backup.cleanup.keep.latest.n    5
backup.cleanup.keep.hourly      off
backup.cleanup.keep.daily       off
backup.cleanup.keep.weekly      off
backup.cleanup.keep.monthly     off
backup.cleanup.keep.yearly      off
backup.cleanup.keep.within      off
backup.cleanup.keep.verified    off
backup.enable.partition.hashes  true
backup.verify.partition.hashes  true
backup.compression.level        1
backup.compression.threads      2
backup.niceness                 5
verify.scratch                  -
verify.questdb.command          -
verify.query.seconds            3600
select.limit.rows               100000
select.limit.seconds            30
select.limit.mebibytes          256
select.limit.disk               16384
notify.on_failure               off
notify.on_success               off
notify.heartbeat                off
vault.password                  -
vault.password.command          -
vault.age.identity              -
vault.kms.key                   -
vault.cluster.encryption        auto
vault.s3.encryption             auto
`);
  const lines = (await type(['list', '--format', 'json'], {env})).out.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {key: 'source', value: null, origin: 'not set'},
    {key: 'source.password', value: null, origin: 'not set'},
    {key: 'source.token', value: null, origin: 'not set'},
    {key: 'cluster', value: home.clusterDir, origin: 'default'},
    {key: 'check', value: 'quick', origin: 'default'},
    {key: 'backup.object.store', value: null, origin: 'not set'},
    {key: 'backup.object.store.lock', value: 'off', origin: 'default'},
    {key: 'backup.object.store.requests', value: 4, origin: 'default'},
    {key: 'backup.limit.upload', value: '10MB', origin: 'environment BKP_BACKUP_LIMIT_UPLOAD'},
    {key: 'backup.limit.download', value: 'off', origin: 'default'},
    {key: 'backup.enabled', value: true, origin: 'default'},
    {key: 'backup.schedule.cron', value: null, origin: 'not set'},
    {key: 'backup.schedule.verify.cron', value: null, origin: 'not set'},
    {key: 'backup.schedule.drill.cron', value: null, origin: 'not set'},
    {key: 'backup.verify.budget', value: 'off', origin: 'default'},
    {key: 'backup.schedule.tz', value: 'UTC', origin: 'default'},
    {key: 'backup.cleanup.keep.latest.n', value: 5, origin: 'default'},
    {key: 'backup.cleanup.keep.hourly', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.daily', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.weekly', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.monthly', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.yearly', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.within', value: 'off', origin: 'default'},
    {key: 'backup.cleanup.keep.verified', value: 'off', origin: 'default'},
    {key: 'backup.enable.partition.hashes', value: true, origin: 'default'},
    {key: 'backup.verify.partition.hashes', value: true, origin: 'default'},
    {key: 'backup.compression.level', value: 1, origin: 'default'},
    {key: 'backup.compression.threads', value: 2, origin: 'environment BKP_BACKUP_COMPRESSION_THREADS'},
    {key: 'backup.niceness', value: 5, origin: 'default'},
    {key: 'verify.scratch', value: null, origin: 'not set'},
    {key: 'verify.questdb.command', value: null, origin: 'not set'},
    {key: 'verify.query.seconds', value: 3600, origin: 'default'},
    {key: 'select.limit.rows', value: 100_000, origin: 'default'},
    {key: 'select.limit.seconds', value: 30, origin: 'default'},
    {key: 'select.limit.mebibytes', value: 256, origin: 'default'},
    {key: 'select.limit.disk', value: 16_384, origin: 'default'},
    {key: 'notify.on_failure', value: 'off', origin: 'default'},
    {key: 'notify.on_success', value: 'off', origin: 'default'},
    {key: 'notify.heartbeat', value: 'off', origin: 'default'},
    {key: 'vault.password', value: null, origin: 'not set'},
    {key: 'vault.password.command', value: null, origin: 'not set'},
    {key: 'vault.age.identity', value: null, origin: 'not set'},
    {key: 'vault.kms.key', value: null, origin: 'not set'},
    {key: 'vault.cluster.encryption', value: 'auto', origin: 'default'},
    {key: 'vault.s3.encryption', value: 'auto', origin: 'default'},
  ]);
});

test('config set reports a flag or variable that overrides the value', async () => {
  const {type} = terminal();
  expect((await type(['set', 'check', 'full'], {env: {BKP_CHECK: 'quick'}})).err).toBe(
    'bkp: check is full in profile default\nbkp: it has no effect while environment BKP_CHECK is set\n',
  );
});

test('config set refuses a cron line or time zone that the scheduler would refuse', async () => {
  const {type, home} = terminal();
  expect((await type(['set', 'backup.schedule.cron', '60 2 * * *'])).err).toContain("'60 2 * * *' is not a cron line");
  expect((await type(['set', 'backup.schedule.tz', 'Europe/Berlim'])).err).toContain("no time zone 'Europe/Berlim'");
  expect((await type(['set', 'backup.schedule.cron', ''])).err).toContain('accepted: a cron line of five fields');
  for (const [key, value] of [
    ['backup.schedule.drill.cron', 'x'],
    ['backup.schedule.tz', 'Mars/X'],
    ['backup.verify.budget', 'much'],
  ] as const) {
    await expect(
      runConfigSet({home, env: {}, flags: {}} as unknown as CommandDeps, {key, value}),
    ).rejects.toMatchObject({exitStatus: 2});
  }
  expect((await type(['set', 'backup.schedule.cron', '0 2 * * *'])).err).toContain('is 0 2 * * * in profile');
  await type(['set', 'backup.schedule.tz', 'Europe/Berlin']);
  expect(readConfig(home).profiles.default).toEqual({
    'backup.schedule.cron': '0 2 * * *',
    'backup.schedule.tz': 'Europe/Berlin',
  });
});

test('profiles', async () => {
  const {type} = terminal();
  await type(['profile', 'create', 'prod']);
  await type(['set', 'check', 'full'], {flags: {profile: 'prod'}});
  expect((await type(['get', 'check'])).out).toBe('quick\n');
  expect((await type(['get', 'check'], {env: {BKP_PROFILE: 'prod'}})).out).toBe('full\n');
  await type(['profile', 'activate', 'prod']);
  expect((await type(['get', 'check'])).out).toBe('full\n');
  expect((await type(['profile', 'list'])).out).toBe('profile  active\ndefault  false\nprod     true\n');
  expect((await type(['profile', 'delete', 'prod'])).err).toBe(
    'bkp: profile prod is the active one (PRECONDITION_FAILED)\nnext:  activate another one first: ' +
      'bkp config profile activate NAME\n',
  );
  await type(['profile', 'delete', 'default']);
  expect((await type(['profile', 'list', '--format', 'json'])).out).toBe('{"profile":"prod","active":true}\n');
});

test('the messages for a wrong key, value or profile', async () => {
  const {type} = terminal();
  expect((await type(['set', 'sorce', 'x'])).err).toBe(
    'bkp: unknown setting "sorce" (BAD_REQUEST)\nnext:  did you mean source?\n',
  );
  expect((await type(['get', 'backup.compresion.level'])).err).toBe(
    'bkp: unknown setting "backup.compresion.level" (BAD_REQUEST)\nnext:  did you mean backup.compression.level?\n',
  );
  expect((await type(['set', 'backup.compression.level', 'max'])).err).toBe(
    'bkp: backup.compression.level cannot be "max" (BAD_REQUEST)\nnext:  accepted: a whole number from 1 to 22\n',
  );
  expect((await type(['list'], {flags: {profile: 'nosuch'}})).err).toBe(
    'bkp: there is no profile "nosuch" (BAD_REQUEST)\n' +
      'next:  the profiles are default; create one with bkp config profile create NAME\n',
  );
});

const store = 's3::bucket=shop;region=eu;access_key_id=AKID7;secret_access_key=S3CRET;';

test('the keys of a store are in the profile and printed nowhere', async () => {
  const {type, home} = terminal();
  const shown = 's3::bucket=shop;region=eu;access_key_id=***;secret_access_key=***;';
  const typed = await type(['set', 'backup.object.store', store]);
  expect(typed.err).toBe(
    `bkp: backup.object.store is ${shown} in profile default\n` +
      "bkp: the secret in this command is visible in the shell's history and in the list of processes; " +
      'put it into a file that BKP_STORE_FILE names, or where the AWS tools look for it\n',
  );
  expect(readConfig(home).profiles.default).toEqual({'backup.object.store': store});
  expect(statSync(home.configFile).mode & 0o777).toBe(0o600);
  const [got, listed, json] = [
    await type(['get', 'backup.object.store']),
    await type(['list', '--show-origin']),
    await type(['list', '--format', 'json']),
  ];
  expect(got.out).toBe(`${shown}\n`);
  expect(listed.out).toContain(shown);
  expect(json.out).toContain(JSON.stringify(shown));
  expect(JSON.stringify([typed, got, listed, json])).not.toMatch(/AKID7|S3CRET/);
});

test('a store read from stdin causes no warning', async () => {
  const {type, home} = terminal();
  const said = await type(['set', 'backup.object.store', '-'], {stdin: `${store}\n`});
  expect(said.err.split('\n')).toEqual([expect.stringContaining('secret_access_key=***; in profile default'), '']);
  expect(readConfig(home).profiles.default).toEqual({'backup.object.store': store});
  const refused = await type(['set', 'backup.object.store', '-'], {stdin: 'x'.repeat(70_000)});
  expect(refused.err).toMatch(/too large/);
  expect((await type(['set', 'backup.object.store', '-'])).err).toMatch(/store: the text is empty/);
  // For other settings `-` is a value like any other.
  expect((await type(['set', 'check', '-'], {stdin: 'full'})).err).toMatch(/check cannot be "-"/);
});

test('an error about a store does not repeat its text, wherever it comes from', async () => {
  const {type} = terminal();
  const broken = store.replace('region=eu;', 'regoin=eu;');
  const errors = [
    (await type(['set', 'backup.object.store', broken])).err,
    (await type(['set', 'backup.object.store', '-'], {stdin: broken})).err,
    (await type(['get', 'backup.object.store'], {env: {BKP_STORE: broken}})).err,
    (await type(['list'], {flags: {store: broken}})).err,
  ];
  for (const error of errors)
    expect(error).toMatch(/^bkp: store: setting 2 .*\n(cause: .*\n)?next: {2}did you mean region/);
  expect(errors.join()).not.toMatch(/AKID7|S3CRET/);
});

test('config list warns of a secret in --store', async () => {
  const {type} = terminal();
  expect((await type(['list'], {flags: {store}})).err).toMatch(
    /^bkp: the secret in --store is visible in the shell's history/,
  );
  expect((await type(['list'], {flags: {store: 's3://shop'}})).err).toBe('');
});

test('a URL to call is stored in the profile and printed without its secret parts', async () => {
  const {type, home} = terminal();
  const typed = await type(['set', 'notify.heartbeat', '-'], {stdin: 'https://hc.example.org/t0ken\n'});
  expect(typed.err).toBe('bkp: notify.heartbeat is https://hc.example.org/*** in profile default\n');
  await type(['set', 'notify.on_failure', 'mail -s t0ken admin']);
  expect(readConfig(home).profiles.default).toEqual({
    'notify.heartbeat': 'https://hc.example.org/t0ken',
    'notify.on_failure': 'mail -s t0ken admin',
  });
  const shown = [
    await type(['list', '--show-origin']),
    await type(['list', '--format', 'json']),
    await type(['get', 'notify.on_failure']),
    await type(['set', 'notify.on_success', 'https://t0ken.example.org:99999/t0ken']),
    await type(['list'], {env: {BKP_NOTIFY_HEARTBEAT: 'hc.example.org/t0ken'}}),
  ];
  expect(shown[2]!.out).toBe('mail ***\n');
  expect(JSON.stringify(shown)).not.toContain('t0ken');
});

test('config path prints where the file will be created', async () => {
  const {type, home} = terminal();
  expect((await type(['path'])).out).toBe(`${home.configFile}\n`);
});

test.skipIf(process.platform === 'win32')('list tells that others may read the file', async () => {
  const {type, home} = terminal();
  await type(['set', 'check', 'full']);
  expect((await type(['list'])).err).toBe('');
  chmodSync(home.configFile, 0o640);
  expect((await type(['list'])).err).toBe(
    `bkp: other users may read ${home.configFile} (mode 640); close it: chmod 600 ${home.configFile}\n`,
  );
});

test('arguments are parsed into options without running anything', async () => {
  const seen: unknown[] = [];
  const deps = {exitWith: () => {}} as unknown as CommandDeps;
  const run = async (_: CommandDeps, options: unknown) => {
    seen.push(options);
    return ExitStatus.done;
  };
  await configSet(deps, run).parseAsync(['source', 'a b'], {from: 'user'});
  await configGet(deps, run).parseAsync(['source'], {from: 'user'});
  await configList(deps, run).parseAsync(['--show-origin'], {from: 'user'});
  await configProfileChange(deps, 'create', '', run).parseAsync(['prod'], {from: 'user'});
  expect(seen).toEqual([
    {key: 'source', value: 'a b'},
    {key: 'source'},
    {showOrigin: true, format: 'pretty'},
    {verb: 'create', name: 'prod'},
  ]);
});
