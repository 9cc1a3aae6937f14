import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {runScheduleInstall} from '../../../src/commands/schedule/install.ts';
import {crontabLine, systemdUnits} from '../../../src/commands/schedule/units.ts';
import {testDeps} from '../../helpers/deps.ts';

const nothing = {profiles: [], print: false, force: false};

function openHome() {
  const home = mkdtempSync(join(tmpdir(), 'bkp-units-'));
  onTestFinished(() => rmSync(home, {recursive: true, force: true}));
  const deps = {...testDeps(home), env: {HOME: home, BKP_HOME: home}};
  return {home, deps, folder: join(home, '.config/systemd/user')};
}

test('the units as they are written', async () => {
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

test('units that are there stay without --force, and all of them', async () => {
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

test('--print writes nothing; without a way to look at the clock nothing is done', async () => {
  const {home, deps} = openHome();
  await runScheduleInstall(deps, {...nothing, systemd: true, print: true, profiles: ['default']});
  expect(deps.out()).toContain('"scheduler" "--once" "default"');
  await expect(runScheduleInstall(deps, nothing)).rejects.toMatchObject({code: 'USAGE'});
  expect(readdirSync(home)).not.toContain('.config');
});

test('words that systemd would take for its own', () => {
  const text = systemdUnits({words: ['/o p/"n"', '100%$HOME\\'], home: '/a %h'}).get('bkp-scheduler.service');
  expect(text).toContain('ExecStart="/o p/\\"n\\"" "100%%$$HOME\\\\"\n');
  expect(text).toContain('Environment="BKP_HOME=/a %%h"\n');
});

test('the crontab line says to a shell just the words, and cron finds no bare %', () => {
  const words = ['/bin/echo', "it's", 'a b', '100%', '$HOME', '-n'];
  const line = crontabLine({words});
  expect(line).toMatch(/^\*\/5 \* \* \* \* \/bin\/echo /);
  expect(line.replaceAll('\\%', '')).not.toContain('%');
  const command = line.replace('*/5 * * * * ', '').replaceAll('\\%', '%');
  expect(execFileSync('sh', ['-c', command], {encoding: 'utf8'})).toBe("it's a b 100% $HOME -n\n");
  expect(crontabLine({words: ['/bin/bkp'], home: '/h'})).toBe('*/5 * * * * BKP_HOME=/h /bin/bkp\n');
});
