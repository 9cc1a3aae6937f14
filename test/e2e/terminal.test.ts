import {execFile} from 'node:child_process';
import {chmodSync, mkdirSync, readdirSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';
import {bareEnv, bkpFile, runBkp} from '../helpers/bkp.ts';
import {createC, openDesk} from '../helpers/desk.ts';

// How bkp reacts to users' shells, disks and folders.

/** Runs bkp with its streams redirected by a shell. */
async function inShell(home: string, line: string): Promise<{status: number; stdout: string; stderr: string}> {
  const env = {...bareEnv({home}), NODE: process.execPath, BKP: bkpFile};
  return promisify(execFile)('sh', ['-c', line], {env, cwd: home}).then(
    (out) => ({status: 0, ...out}),
    ({code, stdout, stderr}) => ({status: code, stdout, stderr}),
  );
}

test.skipIf(process.platform !== 'linux')(
  'a full disk behind stdout is reported as such, and one behind stderr does not change the exit status',
  async () => {
    const {folder} = openDesk('');
    const [out, help, err] = await Promise.all([
      inShell(folder, '"$NODE" "$BKP" operation list > /dev/full'),
      inShell(folder, '"$NODE" "$BKP" --help > /dev/full'),
      inShell(folder, '"$NODE" "$BKP" operation get 7 2> /dev/full'),
    ]);
    for (const {status, stderr} of [out, help]) {
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /^bkp: standard output cannot be written \(UNAVAILABLE\)\ncause: ENOSPC.*\nnext: {2}.*\n$/,
      );
    }
    expect(err).toMatchObject({status: 10, stdout: ''});
  },
);

test('every command reports a home that cannot be created', async () => {
  const {folder} = openDesk('');
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const commands = [['operation', 'list'], ['doctor'], ['config', 'set', 'source', 'a.db'], ['sql', 'SELECT 1']];
  for (const result of await Promise.all(commands.map((args) => runBkp(['--home', file, ...args], {home: folder})))) {
    expect(result.status).not.toBe(0);
    expect(result.stdout + result.stderr).toMatch(/next: .*(writable|readable) for (you|this user)/);
    expect(result.stdout + result.stderr).not.toMatch(/bug in bkp|INTERNAL/);
  }
});

test.skipIf(process.platform === 'win32')('all that bkp makes in its home is for its owner alone', async () => {
  const desk = openDesk();
  const home = join(desk.folder, 'data', 'bkp');
  mkdirSync(home, {recursive: true});
  chmodSync(home, 0o755);
  // Uses the cluster inside the home.
  const env = {BKP_HOME: '', XDG_DATA_HOME: join(desk.folder, 'data'), BKP_SOURCE: desk.database};
  const run = async (...args: string[]) => {
    const result = await runBkp(args, {home: desk.folder, env});
    expect(result.status, result.stderr).toBe(0);
    return result;
  };
  const first = await run('sql', '--wait', `${createC(false)}; BACKUP c`);
  expect(first.stderr).toContain(`other users could read ${home}; now only you can`);
  expect((await run('sql', 'SELECT reload_config()')).stderr).toBe('');
  await run('config', 'set', 'check', 'full');
  const cluster = join(home, 'cluster');
  const open = readdirSync(home, {recursive: true, encoding: 'utf8'})
    .map((name) => join(home, name))
    .filter((path) => !path.startsWith(`${cluster}/`))
    .filter((path) => (statSync(path).mode & 0o077) !== 0);
  expect(open).toEqual([]);
  expect(readdirSync(home).sort()).toEqual(
    expect.arrayContaining(['cache', 'cluster', 'config.json', 'logs', 'reload']),
  );
  chmodSync(join(home, 'logs'), 0o755);
  const doctor = await runBkp(['doctor'], {home: desk.folder, env});
  expect(doctor.stdout).toContain(
    `FAIL  home: rights: other users can access ${join(home, 'logs')}\n      next: chmod -R go-rwx '${home}'`,
  );
});

test('--wait reports a failure once', async () => {
  const desk = openDesk();
  await desk.sqlWait(`${createC(false)}; BACKUP c`);
  for (const key of desk.storedKeys()) if (key.startsWith('packs/')) writeFileSync(join(desk.cluster, key), 'x');
  const {status, stderr} = await desk.bkp('sql', '--wait', 'VERIFY c');
  expect(status).toBe(13);
  expect(stderr.match(/faults? found/g)).toHaveLength(1);
  const said = stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => line.replace(/^\S+Z verify\/\d+ /, '').trim());
  expect(said).toEqual([...new Set(said)]);
  expect(stderr.match(/^next: /gm)).toHaveLength(1);
});
