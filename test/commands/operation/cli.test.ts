import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {cpSync, existsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {bareEnv, bkpFile, runBkp, temporaryHome} from '../../helpers/bkp.ts';
import {addFailed, addRunning, addSucceeded, journalAt} from '../../helpers/journal.ts';

// The public cases of operations that need no backup, by their numbers, against the real bkp.

let empty: ReturnType<typeof temporaryHome>;
beforeAll(() => {
  empty = temporaryHome();
});
afterAll(() => empty.remove());

const bkp = (...args: string[]) => runBkp(args, {home: empty.home});

test('YO01: an empty list prints an empty line and a token', async () => {
  expect(await bkp('operation', 'list', 'incbackup')).toEqual({
    status: 0,
    stdout: '\nNext page token: 0\n',
    stderr: '',
  });
});

test('YO02: an empty list is an empty page in JSON', async () => {
  expect(await bkp('operation', 'list', 'fullbackup', '--format', 'proto-json-base64')).toEqual({
    status: 0,
    stdout: '{"operations":[],"nextPageToken":"0"}\n',
    stderr: '',
  });
});

test.each([
  ['YO08', ['operation', 'list', 'fullbackup', '-t', 'abc'], 12, 'Unable to parse page token (BAD_REQUEST)'],
  [
    'YO09',
    ['operation', 'list', 'nosuch'],
    2,
    'Invalid kind. Use one of: cleanup, copy, dbbackup, dbrestore, fullbackup, incbackup, reencrypt, restore, verify',
  ],
  ['YO11', ['operation', 'get', 'notanid'], 2, 'Invalid operation ID'],
  ['YO12', ['operation', 'get', 'fullbackup/9999'], 10, 'Full backup with id 9999 is not found (NOT_FOUND)'],
  [
    'YO12',
    ['operation', 'get', 'ydb://fullbackup/14?id=9999'],
    10,
    'Full backup with id 9999 is not found (NOT_FOUND)',
  ],
  ['YO17', ['operation', 'forget', 'ydb://fullbackup/14'], 2, 'Invalid operation ID'],
])('%s: %j', async (_, args, status, message) => {
  const result = await bkp(...args);
  expect(result).toMatchObject({status, stdout: ''});
  expect(result.stderr).toMatch(/^bkp: .*\n/);
  expect(result.stderr).toContain(message);
});

test('with --format json an error is one JSON line', async () => {
  const {status, stdout, stderr} = await bkp('operation', 'get', '9999', '--format', 'json');
  expect([status, stdout]).toEqual([10, '']);
  expect(JSON.parse(stderr)).toMatchObject({
    status: 'NOT_FOUND',
    issues: [{message: 'Operation with id 9999 is not found'}],
  });
});

test('a reader that closes the pipe early is no error', async () => {
  const {home, remove} = temporaryHome();
  try {
    const journal = journalAt(home);
    for (let at = 0; at < 100; at += 1) await addSucceeded(journal, {statement: `BACKUP ${'x'.repeat(4000)}`});
    journal.close();
    const list = `"${process.execPath}" "${bkpFile}" operation list -s 100 --json`;
    const line = `${list} | head -c 10; echo " \${PIPESTATUS[0]}"`;
    const out = execFileSync('bash', ['-c', line], {
      env: bareEnv({home}),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(out).toBe('{"operatio 0\n');
  } finally {
    remove();
  }
});

test('--home names another journal, before or after the command', async () => {
  const {home, remove} = temporaryHome();
  try {
    const journal = journalAt(join(home, 'other'));
    await addFailed(journal);
    journal.close();
    for (const args of [
      ['--home', 'other', 'operation', 'get', 'last'],
      ['operation', 'get', 'last', '--home=other'],
    ]) {
      const {status, stdout} = await runBkp(args, {home});
      expect([status, stdout.includes('fullbackup/1')]).toEqual([1, true]);
    }
  } finally {
    remove();
  }
});

const oldNode = '/usr/bin/node';
const isOld = () =>
  Number.parseInt(execFileSync(oldNode, ['-p', 'process.versions.node'], {encoding: 'utf8'}), 10) < 24;

// Needs an old Node beside the current one.
test.skipIf(!existsSync(oldNode) || !isOld())(
  'an old Node starts the one in node_modules and returns its status',
  () => {
    const run = (...args: string[]) =>
      execFileSync(oldNode, [bkpFile, ...args], {env: bareEnv(empty), encoding: 'utf8', stdio: 'pipe'});
    expect(run('operation', 'list')).toBe('\nNext page token: 0\n');
    expect(() => run('operation', 'get', '9999')).toThrow(expect.objectContaining({status: 10}));
  },
);

test.skipIf(!existsSync(oldNode) || !isOld())('what an old Node is sent, the new one gets', async () => {
  const {home, remove} = temporaryHome();
  const journal = journalAt(home);
  try {
    await addRunning(journal);
    const child = spawn(oldNode, [bkpFile, 'operation', 'watch'], {
      env: bareEnv({home}),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise((resolve) => child.on('exit', (status, signal) => resolve([status, signal])));
    let talk = '';
    child.stderr.on('data', (data) => {
      talk += data;
    });
    child.stdout.once('data', () => child.kill('SIGTERM'));
    expect(await ended).toEqual([0, null]);
    expect(talk).toContain('fullbackup/1 continues in the background.');
  } finally {
    journal.close();
    remove();
  }
});

test.skipIf(!existsSync(oldNode) || !isOld())('an old Node alone says in one line what is needed', () => {
  const {home, remove} = temporaryHome();
  try {
    cpSync(bkpFile, join(home, 'bin/bkp.js'));
    writeFileSync(join(home, 'package.json'), '{"type": "module"}');
    const {status, stdout, stderr} = spawnSync(oldNode, [join(home, 'bin/bkp.js')], {encoding: 'utf8'});
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^bkp: Node 24\.15 or newer is needed, this is \d+\.\d+\.\d+; get it from .*\n$/);
  } finally {
    remove();
  }
});

test('a name in an error cannot control the terminal', async () => {
  const {stderr} = await bkp('operation', 'get\u001b[2J\u202e');
  expect(stderr).toContain("unknown command 'get\\x1b[2J\\u202e'");
});
