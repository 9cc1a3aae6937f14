import {spawnSync} from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {beforeEach, expect, onTestFinished, test} from 'vitest';
import {bkpFile} from '../helpers/bkp.ts';

let folder: string;
const file = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bkp's 100% credential-"));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
});

const bare = () => ({PATH: '/usr/bin:/bin', HOME: folder});

function bkp(args: readonly string[], env: Record<string, string> = {}) {
  const run = spawnSync(process.execPath, [bkpFile, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: {...bare(), BKP_HOME: file('home'), BKP_CLUSTER: file('store'), BKP_SOURCE: file('app.db'), ...env},
  });
  return {status: run.status, out: run.stdout, err: run.stderr};
}

/** A collection in an encrypted vault, with a backup due every minute, and the password in a file. */
function collection(): void {
  writeFileSync(file('password'), 'hush hush\n', {mode: 0o600});
  const db = new DatabaseSync(file('app.db'));
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY); INSERT INTO item VALUES (1)');
  db.close();
  const create = "CREATE BACKUP COLLECTION shop (TABLE item) WITH (STORAGE='cluster', SCHEDULE='* * * * *')";
  expect(bkp(['sql', create], {BKP_PASSWORD_FILE: file('password')})).toMatchObject({status: 0});
}

const installed = (...args: string[]) => bkp(['schedule', 'install', ...args]);

/** Runs the scheduler's command until it has started a backup, as a timer does, and waits for that. */
async function expectBackup(run: () => {status: number | null; stderr: string}): Promise<void> {
  const byPassword = {BKP_PASSWORD_FILE: file('password')};
  const backups = () => {
    expect(run()).toMatchObject({status: 0, stderr: ''});
    return bkp(['sql', 'SHOW BACKUPS IN shop', '--format', 'json'], byPassword).out;
  };
  await expect.poll(backups, {timeout: 240_000, interval: 3000}).toContain('_full');
}

/** The words and variables of a unit's line, with systemd's quotes and doubled signs undone. */
const unquoted = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) =>
    word!.replace(/\\(.)/g, '$1').replaceAll('%%', '%').replaceAll('$$', '$'),
  );

test('a service of systemd gets the password as a credential, and its backup is taken', async () => {
  collection();
  const {status, err} = installed('--systemd', '--credential', 'password');
  expect({status, err}).toMatchObject({status: 0});
  const units = file('.config/systemd/user');
  const service = readFileSync(join(units, 'bkp-scheduler.service'), 'utf8');
  expect(service).toContain(`\nLoadCredential=bkp.password:${file('password').replaceAll('%', '%%')}\n`);
  expect(service).not.toContain('hush');
  expect(service).not.toContain('BKP_PASSWORD');

  // As systemd does it: the credential as a file in a folder of its own, and nothing but the unit's variables.
  const lines = service.split('\n');
  const variables = lines.filter((line) => line.startsWith('Environment=')).flatMap(unquoted);
  const [program, ...words] = unquoted(lines.find((line) => line.startsWith('ExecStart='))!);
  const env = Object.fromEntries(variables.map((one) => one.split(/=(.*)/s).slice(0, 2)));
  const run = (more: Record<string, string>) =>
    spawnSync(program!, words, {cwd: '/', encoding: 'utf8', env: {...bare(), ...env, ...more}});
  expect(run({})).toMatchObject({status: 1, stdout: expect.stringContaining('is encrypted, and no password is set')});
  await expectBackup(() => {
    mkdirSync(file('credentials'));
    copyFileSync(file('password'), file('credentials/bkp.password'));
    const result = run({CREDENTIALS_DIRECTORY: file('credentials')});
    // systemd removes the credentials when the command has ended, and its worker goes on.
    rmSync(file('credentials'), {recursive: true});
    return result;
  });
});

test('systemd finds no fault with the units', () => {
  // Only a machine with systemd has this program.
  if (!existsSync('/usr/bin/systemd-analyze')) return;
  writeFileSync(file('password'), 'hush hush\n', {mode: 0o600});
  for (const option of ['--credential', '--credential-encrypted']) {
    expect(installed('--systemd', '--force', option, 'bkp.password=password')).toMatchObject({status: 0});
    const units = file('.config/systemd/user');
    const names = readdirSync(units).map((name) => join(units, name));
    const run = spawnSync('/usr/bin/systemd-analyze', ['verify', ...names], {encoding: 'utf8', env: bare()});
    expect(run.stderr.split('\n').filter((line) => line.includes('bkp-scheduler'))).toEqual([]);
  }
});

test('cron gets the name of the file, and its backup is taken', async () => {
  collection();
  const {status, out} = installed('--crontab', '--credential', 'password');
  expect(status).toBe(0);
  expect(out).not.toContain('hush');
  const command = out.replace('*/5 * * * * ', '').replaceAll('\\%', '%');
  await expectBackup(() => spawnSync('/bin/sh', ['-c', command], {cwd: '/', encoding: 'utf8', env: bare()}));
});

test('the password of this shell is not needed, and one of the profile is in the way', () => {
  writeFileSync(file('password'), 'hush hush\n', {mode: 0o600});
  const install = ['schedule', 'install', '--systemd', '--print'];
  const byShell = {BKP_PASSWORD: 'hush hush'};
  expect(bkp(install, byShell).err).toContain('bkp schedule install --credential FILE');
  const {status, out} = bkp([...install, '--credential', 'password'], byShell);
  expect({status, out}).toMatchObject({status: 0, out: expect.not.stringContaining('hush')});
  expect(bkp(['config', 'set', 'vault.password.command', 'pass show bkp'])).toMatchObject({status: 0});
  expect(installed('--systemd', '--print', '--credential', 'password')).toMatchObject({
    status: 12,
    err: expect.stringContaining('next:  take it out of the profile: bkp config unset vault.password.command'),
  });
});

test.each([
  [['--systemd', '--credential', 'gone'], 12, 'cannot be read'],
  [['--systemd', '--credential', 'empty'], 12, 'is empty'],
  [['--systemd', '--credential', 'other=password'], 2, 'bkp has no use for a credential other'],
  [['--crontab', '--credential-encrypted', 'empty'], 2, 'cron cannot decrypt a credential'],
])('a credential that would not open the vault is refused before anything is written: %j', (args, status, words) => {
  writeFileSync(file('empty'), '\n');
  expect(installed(...args)).toMatchObject({status, err: expect.stringContaining(words)});
  expect(existsSync(file('.config'))).toBe(false);
});
