import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {commandEnvironment} from '../../src/notify/index.ts';
import {runCommand} from '../../src/notify/run-command.ts';
import {eventually} from '../helpers/eventually.ts';

const env = {PATH: '/usr/bin:/bin'};

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-notify-'));
  onTestFinished(() => rmSync(dir, {recursive: true, force: true}));
  return dir;
}

test('the shell runs the command with the JSON on stdin and the given environment', async () => {
  const out = join(folder(), 'out');
  const line = 'cat > "$OUT"; env | sort >> "$OUT"';
  expect(await runCommand(line, '{"id":1}\n', {env: {...env, OUT: out, BKP_STATUS: 'ERROR'}})).toBeUndefined();
  const [json, ...rest] = readFileSync(out, 'utf8').trim().split('\n');
  expect(json).toBe('{"id":1}');
  expect(rest.filter((text) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(text))).toEqual([
    'BKP_STATUS=ERROR',
    `OUT=${out}`,
    'PATH=/usr/bin:/bin',
  ]);
});

test.each([
  ['exit 3', 'the command ended with exit status 3'],
  ['no-such-program-anywhere --token=t0ken', 'the command ended with exit status 127'],
  ['kill -9 $$', 'the command was killed by SIGKILL'],
])('%s', async (line, fault) => {
  expect(await runCommand(line, '{}', {env})).toBe(fault);
});

test('a command need not read stdin, however long the input is', async () => {
  expect(await runCommand('true', 'x'.repeat(1_000_000), {env})).toBeUndefined();
});

test('a command that hangs is killed together with the processes that it started', async () => {
  const pidFile = join(folder(), 'pid');
  const line = `sh -c 'trap "" TERM; echo $$ > "$PIDFILE"; while :; do sleep 0.1; done' | cat`;
  expect(await runCommand(line, '{}', {env: {...env, PIDFILE: pidFile}, timeoutMs: 3000})).toBe(
    'the command was killed after 3 s',
  );
  const pid = Number(readFileSync(pidFile, 'utf8'));
  await eventually(() => expect(isRunning(pid)).toBe(false));
});

/** A zombie does not count as running. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the environment of a command contains no store, source, webhook or key', () => {
  const secrets = {
    BKP_STORE: 's3::secret_access_key=x',
    BKP_STORE_FILE: '/x',
    QDB_BACKUP_OBJECT_STORE: 'x',
    BKP_SOURCE: 'x',
    BKP_NOTIFY_HEARTBEAT: 'https://x',
    bkp_notify_on_failure: 'x',
    BKP_PASSWORD_FILE: 'x',
    PGPASSWORD: 'x',
    PGSSLPASSWORD: 'x',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_SESSION_TOKEN: 'x',
    AWS_SECURITY_TOKEN: 'x',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'x',
    AWS_WEB_IDENTITY_TOKEN_FILE: 'x',
  };
  const plain = {
    PATH: '/bin',
    HOME: '/home/ann',
    BKP_HOME: '/home/ann/bkp',
    BKP_PROFILE: 'prod',
    AWS_REGION: 'eu',
    PGHOST: 'db',
  };
  expect(commandEnvironment({...secrets, ...plain})).toEqual(plain);
});
