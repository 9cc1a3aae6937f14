import {spawn as spawnProcess} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {spawn} from '@lydell/node-pty';
import {expect, test} from 'vitest';
import {newKey} from '../../src/vault/index.ts';
import {bareEnv, bkpFile} from '../helpers/bkp.ts';
import {casesSchema, createC, type Desk, openDesk} from '../helpers/desk.ts';

// Passwords that are typed: a terminal of its own for each command.

/** A key instead of a password, so that no process waits for a derivation. */
const code = newKey().code;

const envOf = ({home, database, cluster}: Desk) =>
  bareEnv({home, env: {BKP_SOURCE: database, BKP_CLUSTER: cluster, NODE: process.execPath, BKP: bkpFile}});

type Typed = {screen: string; status: number; isRestored: boolean};

/**
 * Runs a line of the shell on a terminal.
 * @param answers what is typed, or done, when the screen shows the question, in this order
 */
function typed(
  desk: Desk,
  line: string,
  answers: readonly (readonly [RegExp, string | (() => void)])[],
): Promise<Typed> {
  const script = `trap : INT; echo "before=$(stty -g)"; ${line}; echo "status=$?"; echo "after=$(stty -g)"`;
  return new Promise((resolve) => {
    const terminal = spawn('sh', ['-c', script], {env: envOf(desk), cwd: desk.folder, cols: 250});
    const left = [...answers];
    let screen = '';
    let seen = '';
    terminal.onData((data) => {
      screen += data;
      seen += data;
      const [question, answer] = left[0] ?? [];
      if (question === undefined || answer === undefined || !question.test(seen)) return;
      seen = '';
      left.shift();
      if (typeof answer === 'string') terminal.write(answer);
      else answer();
    });
    terminal.onExit(() => {
      const shown = (name: string) => new RegExp(`${name}=(\\S+)`).exec(screen)?.[1];
      const before = shown('before');
      resolve({screen, status: Number(shown('status')), isRestored: before !== undefined && before === shown('after')});
    });
  });
}

const bkp = (args: string) => `"$NODE" "$BKP" ${args}`;

async function encrypted(schema = ''): Promise<Desk> {
  const desk = openDesk(schema);
  const made = await typed(desk, bkp('vault create --encrypt'), [[/new password.*: $/, `${code}\r`]]);
  expect(made.screen).toContain('encrypted, ring 1-');
  expect(made.status).toBe(0);
  return desk;
}

const isEmpty = ({cluster}: Desk) => !existsSync(cluster) || readdirSync(cluster).length === 0;

test('a password is asked for on the terminal, is not shown, and opens the vault', async () => {
  const desk = await encrypted();
  const {screen, status, isRestored} = await typed(desk, bkp('vault key list'), [
    [/password of the vault/, `${code}\r`],
  ]);
  expect(screen).toContain('ring 1-');
  expect(screen).not.toContain(code);
  expect(screen.match(/password of the vault/g)).toHaveLength(1);
  expect([status, isRestored]).toEqual([0, true]);
});

test('stdin may be a statement, and the worker needs no second answer', async () => {
  const desk = await encrypted(casesSchema);
  const statements = `${createC(false)}; BACKUP c; SHOW BACKUPS IN c`;
  const line = `printf '%s\\n' "${statements}" | ${bkp('sql --wait')}`;
  const {screen, status} = await typed(desk, line, [[/password of the vault/, `${code}\r`]]);
  expect(screen).toMatch(/_full/);
  expect(screen.match(/password of the vault/g)).toHaveLength(1);
  expect(screen).not.toContain(code);
  expect(status).toBe(0);
});

test.each([
  ['two that differ', ['one of two', 'another'], 2, 'the two passwords differ'],
  ['an empty one', [''], 12, 'the password is empty'],
  ['a mistyped key', [code.slice(0, -1)], 2, 'the key is mistyped'],
])('of a new password, %s is refused, and nothing is written', async (_name, passwords, status, words) => {
  const desk = openDesk('');
  const questions = [/new password.*: $/, /the same again: $/];
  const answers = passwords.map((password, at) => [questions[at]!, `${password}\r`] as const);
  const run = await typed(desk, bkp('vault create --encrypt'), answers);
  expect(run.screen).toContain(words);
  expect(run.screen).not.toMatch(/one of two|another\r/);
  expect([run.status, run.isRestored, isEmpty(desk)]).toEqual([status, true, true]);
});

test.each([
  ['Ctrl+C', 'half\u0003', 130],
  ['Ctrl+D', '\u0004', 12],
])('%s at the question leaves the terminal as it was, and the store too', async (_name, keys, status) => {
  const desk = openDesk('');
  const created = await typed(desk, bkp('vault create --encrypt'), [[/new password.*: $/, keys]]);
  expect(created.screen).not.toContain('half');
  expect([created.status, created.isRestored, isEmpty(desk)]).toEqual([status, true, true]);
  const vault = await encrypted();
  const before = vault.storedKeys();
  const changed = await typed(vault, bkp('vault key add'), [
    [/password of the vault/, `${code}\r`],
    [/new password/, keys],
  ]);
  expect([changed.status, changed.isRestored]).toEqual([status, true]);
  expect(vault.storedKeys()).toEqual(before);
});

test.each([
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s at the question or the prompt leaves the terminal as it was', async (signal, status) => {
  const desk = await encrypted();
  const ended = async (args: string, question: RegExp) => {
    const line = `sh -c 'echo $$ > pid; exec ${bkp(args)}'`;
    const end = () => process.kill(Number(readFileSync(join(desk.folder, 'pid'), 'utf8')), signal);
    const run = await typed(desk, line, [[question, end]]);
    expect(run.screen).toMatch(/password of the vault|bkp> /);
    return [run.status, run.isRestored];
  };
  expect(await ended('vault key list', /password of the vault.*: $/)).toEqual([status, true]);
  expect(await ended('sql', /bkp> /)).toEqual([status, true]);
});

test('a wrong password is refused at once, and asked for again by the next command', async () => {
  const desk = await encrypted();
  const line = `${bkp('vault key list')}; ${bkp('vault key list')}`;
  const {screen, status} = await typed(desk, line, [
    [/password of the vault/, `${newKey().code}\r`],
    [/password of the vault/, `${code}\r`],
  ]);
  expect(screen).toContain('this key opens no slot');
  expect(screen).toContain('ring 1-');
  expect(status).toBe(0);
});

test('without a terminal nothing waits for an answer', async () => {
  const desk = await encrypted();
  const run = (args: readonly string[]) =>
    new Promise<{status: number | null; stderr: string}>((resolve) => {
      // A session of its own has no terminal, also if the tests have one.
      const child = spawnProcess(process.execPath, [bkpFile, ...args], {
        env: envOf(desk),
        cwd: desk.folder,
        detached: true,
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (data) => {
        stderr += data;
      });
      child.on('close', (status) => resolve({status, stderr}));
    });
  const before = desk.storedKeys();
  for (const args of [
    ['vault', 'key', 'list'],
    ['sql', 'SHOW BACKUP COLLECTIONS'],
    ['vault', 'key', 'rotate'],
  ]) {
    const {status, stderr} = await run(args);
    expect(stderr).toContain('is encrypted, and no password is set');
    expect(status).toBe(12);
  }
  expect(desk.storedKeys()).toEqual(before);
});
