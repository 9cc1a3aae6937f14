import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir, userInfo} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {GlobalFlags} from '../../../src/app/deps.ts';
import {runScheduleInstall} from '../../../src/commands/schedule/install.ts';
import {crontabLine, systemdUnits} from '../../../src/commands/schedule/units.ts';
import {loadSettings, resolveHome} from '../../../src/config/index.ts';
import {testDeps} from '../../helpers/deps.ts';

const nothing = {profiles: [], print: false, force: false};

function openHome() {
  const home = mkdtempSync(join(tmpdir(), 'bkp-units-'));
  onTestFinished(() => rmSync(home, {recursive: true, force: true}));
  const deps = {...testDeps(home), env: {HOME: home, BKP_HOME: home}};
  return {home, deps, folder: join(home, '.config/systemd/user')};
}

test('the text of the units', async () => {
  const {home, deps, folder} = openHome();
  await runScheduleInstall(deps, {...nothing, systemd: true, profiles: []});
  expect(readdirSync(folder).sort()).toEqual(['bkp-scheduler.service', 'bkp-scheduler.timer']);
  expect(readFileSync(join(folder, 'bkp-scheduler.service'), 'utf8')).toBe(
    `[Unit]\nDescription=Backups that are due, by bkp\n\n[Service]\nType=oneshot\nEnvironment="BKP_HOME=${home}"\n` +
      `ExecStart="${process.execPath}" "${deps.entryFile}" "scheduler" "--once"\nKillMode=process\n`,
  );
  expect(readFileSync(join(folder, 'bkp-scheduler.timer'), 'utf8')).toContain('OnCalendar=*:0/5\n');
  expect(deps.out()).toBe(`${join(folder, 'bkp-scheduler.service')}\n${join(folder, 'bkp-scheduler.timer')}\n`);
});

test('without --force existing units are kept, and none is written', async () => {
  const {deps, folder} = openHome();
  await runScheduleInstall(deps, {...nothing, systemd: true});
  rmSync(join(folder, 'bkp-scheduler.service'));
  writeFileSync(join(folder, 'bkp-scheduler.timer'), 'mine');
  await expect(runScheduleInstall(deps, {...nothing, systemd: true})).rejects.toMatchObject({code: 'PRECONDITION'});
  expect(readdirSync(folder)).toEqual(['bkp-scheduler.timer']);
  expect(readFileSync(join(folder, 'bkp-scheduler.timer'), 'utf8')).toBe('mine');
  await runScheduleInstall(deps, {...nothing, systemd: true, force: true});
  expect(readFileSync(join(folder, 'bkp-scheduler.timer'), 'utf8')).toContain('[Timer]');
});

test('--print writes nothing; without --systemd or --crontab nothing is done', async () => {
  const {home, deps} = openHome();
  await runScheduleInstall(deps, {...nothing, systemd: true, print: true, profiles: ['default']});
  expect(deps.out()).toContain('"scheduler" "--once" "default"');
  await expect(runScheduleInstall(deps, nothing)).rejects.toMatchObject({code: 'USAGE'});
  expect(readdirSync(home)).not.toContain('.config');
});

test('words with characters that systemd interprets are escaped', () => {
  const text = systemdUnits({words: ['/o p/"n"', '100%$HOME\\'], variables: {BKP_HOME: '/a %h'}}).get(
    'bkp-scheduler.service',
  );
  expect(text).toContain('ExecStart="/o p/\\"n\\"" "100%%$$HOME\\\\"\n');
  expect(text).toContain('Environment="BKP_HOME=/a %%h"\n');
});

test('a shell parses the crontab line into exactly the words, and cron finds no bare %', () => {
  const words = ['/bin/echo', "it's", 'a b', '100%', '$HOME', '-n'];
  const line = crontabLine({words, variables: {}});
  expect(line).toMatch(/^\*\/5 \* \* \* \* \/bin\/echo /);
  expect(line.replaceAll('\\%', '')).not.toContain('%');
  const command = line.replace('*/5 * * * * ', '').replaceAll('\\%', '%');
  expect(execFileSync('sh', ['-c', command], {encoding: 'utf8'})).toBe("it's a b 100% $HOME -n\n");
  expect(crontabLine({words: ['/bin/bkp'], variables: {BKP_HOME: '/h'}})).toBe('*/5 * * * * BKP_HOME=/h /bin/bkp\n');
});

test('the unit gets the home and the settings of the shell’s environment and flags', async () => {
  const {home, deps} = openHome();
  const usual = join(userInfo().homedir, '.local/share/bkp');
  const printed = async (env: Record<string, string>, flags: Partial<GlobalFlags> = {}) => {
    const own = testDeps(home);
    const changed = {...own, env, flags: {...own.flags, ...flags}, home: resolveHome(env, 'linux', userInfo().homedir)};
    await runScheduleInstall({...changed, settings: () => loadSettings(changed)}, {...nothing, crontab: true});
    return own.out();
  };
  expect(deps.home.dir).not.toBe(usual);
  const plain = await printed({});
  expect(plain).toMatch(/^\*\/5 \* \* \* \* \S+ \S+ scheduler --once\n$/);
  expect(await printed({XDG_DATA_HOME: '/data'})).toContain('* BKP_HOME=/data/bkp /');
  writeFileSync(join(home, 'store.txt'), 's3::bucket=backups;region=r;access_key_id=AKIA;secret_access_key=hush;');
  const line = await printed(
    {
      BKP_SOURCE: 'app.db',
      BKP_PROFILE: 'default',
      QDB_BACKUP_COMPRESSION_LEVEL: '3',
      BKP_STORE_FILE: join(home, 'store.txt'),
      AWS_PROFILE: 'nightly',
      TERM: 'xterm',
    },
    {cluster: 'here', limitUpload: '10MB', store: 'cluster'},
  );
  for (const word of [
    `BKP_SOURCE=sqlite::path=${join(process.cwd(), 'app.db')}`,
    `BKP_CLUSTER=${join(process.cwd(), 'here')}`,
    'BKP_BACKUP_COMPRESSION_LEVEL=3',
    'BKP_BACKUP_LIMIT_UPLOAD=10MB',
    `BKP_STORE_FILE=${join(home, 'store.txt')}`,
    'AWS_PROFILE=nightly',
    'scheduler --once --store cluster default',
  ])
    expect(line).toContain(` ${word}`);
  expect(line).not.toMatch(/hush|AKIA|TERM/);
  for (const [env, key] of [
    [{BKP_STORE: 's3::bucket=backups;region=r;access_key_id=AKIA;secret_access_key=hush;'}, 'backup.object.store'],
    [{BKP_NOTIFY_HEARTBEAT: 'https://example.org/hush'}, 'notify.heartbeat'],
    [{BKP_STORE: 's3::bucket=backups;region=r;', AWS_SECRET_ACCESS_KEY: 'hush'}, 'AWS_SECRET_ACCESS_KEY'],
  ] as const) {
    const error = await printed(env).catch((caught) => caught);
    expect(error).toMatchObject({code: 'PRECONDITION', message: `only this shell has ${key}`});
    expect(JSON.stringify(error)).not.toContain('hush');
  }
});
