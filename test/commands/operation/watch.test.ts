import {readFile} from 'node:fs/promises';
import {stripVTControlCharacters} from 'node:util';
import * as pty from '@lydell/node-pty';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Journal, OperationNumber} from '../../../src/ops/index.ts';
import {bareEnv, bkpFile, temporaryHome} from '../../helpers/bkp.ts';
import {eventually} from '../../helpers/eventually.ts';
import {addRunning, journalAt} from '../../helpers/journal.ts';

// The real bkp on a real terminal.

let home: string;
let remove: () => void;
let journal: Journal;
let number: OperationNumber;

beforeEach(async () => {
  ({home, remove} = temporaryHome());
  journal = journalAt(home);
  ({number} = await addRunning(journal, {statement: 'BACKUP shop'}));
  await journal.report(number, {phase: 'TransferData', bytesDone: 25, bytesTotal: 100, itemsDone: 0});
});
afterEach(() => {
  journal.close();
  remove();
});

function terminal(cols: number, ...args: string[]) {
  return terminalOf({cols}, ...args);
}

function terminalOf({cols = 80, env = {}}: {cols?: number; env?: Record<string, string>}, ...args: string[]) {
  const child = pty.spawn(process.execPath, [bkpFile, ...args], {
    name: env.TERM ?? 'xterm-256color',
    cols,
    rows: 24,
    cwd: home,
    env: bareEnv({home, env}),
  });
  const it = {raw: '', child, status: undefined as number | undefined};
  child.onData((data) => {
    it.raw += data;
  });
  const ended = new Promise<number>((resolve) => child.onExit(({exitCode}) => resolve(exitCode)));
  const sees = (text: string | RegExp) => eventually(() => expect(stripVTControlCharacters(it.raw)).toMatch(text));
  return Object.assign(it, {ended, sees});
}

test('q leaves the view and prints what continues, and the work does continue', async () => {
  const screen = terminal(80, 'operation', 'watch');
  await screen.sees('25.00%  TransferData');
  await screen.sees('q leave · c cancel');
  screen.child.write('q');
  expect(await screen.ended).toBe(0);
  await screen.sees('fullbackup/1 continues in the background.');
  expect((await journal.get(number)).state).toMatchObject({name: 'running', cancelRequested: false});
  // The view shows the cursor again at its end.
  expect(screen.raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001b[?25l'));
});

test.each(['SIGTERM', 'SIGINT'])('%s leaves the view as q does', async (signal) => {
  const screen = terminal(80, 'operation', 'watch');
  await screen.sees('q leave · c cancel');
  screen.child.kill(signal);
  expect(await screen.ended).toBe(0);
  await screen.sees('fullbackup/1 continues in the background.');
  expect((await journal.get(number)).state).toMatchObject({name: 'running', cancelRequested: false});
  expect(screen.raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.raw.lastIndexOf('\u001b[?25l'));
});

test.skipIf(process.platform !== 'linux')('Ctrl-Z or SIGTSTP, then fg: the view continues', async () => {
  const shell = pty.spawn('/bin/bash', ['--norc', '-i'], {
    ...{name: 'xterm-256color', cols: 80, rows: 24, cwd: home},
    env: {...bareEnv({home}), NODE: process.execPath, BKP: bkpFile, PS1: 'shell> '},
  });
  let raw = '';
  shell.onData((data) => {
    raw += data;
  });
  const sees = (text: string | RegExp) => eventually(() => expect(stripVTControlCharacters(raw)).toMatch(text));
  const give = async (text: string, until: string | RegExp) => {
    raw = '';
    shell.write(text);
    await sees(until);
  };
  await sees('shell> ');
  await give('"$NODE" "$BKP" operation watch\r', 'q leave');
  await give('\u001a', /Stopped/);
  // The shell has its terminal back, with a cursor.
  expect(raw).toContain('\u001b[?25h');
  await give('stty -a | tr ";" "\\n"\r', / icanon /);
  await give('kill -STOP %1; fg\r', 'q leave');
  await give('c', 'Cancel fullbackup/1?');
  await give('n', 'q leave');
  const [pid] = (await readFile(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8')).trim().split(' ');
  raw = '';
  process.kill(Number(pid), 'SIGTSTP');
  await sees('Stopped');
  await give('fg\r', 'q leave');
  await give('q', 'fullbackup/1 continues in the background.');
  await give('echo "status $?"; exit\r', 'status 0');
});

test('c and y cancel; when the work has stopped, the view ends with the result', async () => {
  const screen = terminal(80, 'operation', 'watch', 'last');
  await screen.sees('q leave · c cancel');
  screen.child.write('c');
  await screen.sees('Cancel fullbackup/1?');
  screen.child.write('y');
  await eventually(async () => expect((await journal.get(number)).state).toMatchObject({cancelRequested: true}));
  await screen.sees('Cancellation');
  await journal.finish(number, {status: 'CANCELLED', result: {}});
  expect(await screen.ended).toBe(1);
  await screen.sees(/CANCELLED in \d+ s/);
});

test('at 40 columns, and after a resize to 40, no line is wider than the terminal', async () => {
  const screen = terminal(100, 'operation', 'watch');
  await screen.sees('q leave · c cancel');
  screen.raw = '';
  screen.child.resize(40, 24);
  // A resize redraws the whole view.
  await screen.sees('q leave · c cancel');
  await journal.report(number, {phase: 'TransferData', bytesDone: 50, bytesTotal: 100, itemsDone: 0});
  await screen.sees('50.00%');
  for (const line of stripVTControlCharacters(screen.raw).split(/\r?\n/)) expect(line.length).toBeLessThanOrEqual(40);
  await journal.finish(number, {status: 'SUCCESS', result: {}});
  expect(await screen.ended).toBe(0);
});

test('TERM=dumb gets lines and no codes', async () => {
  const screen = terminalOf({env: {TERM: 'dumb', CI: '1'}}, 'operation', 'watch');
  await screen.sees('TransferData (25.00%)');
  await journal.finish(number, {status: 'SUCCESS', result: {}});
  expect(await screen.ended).toBe(0);
  expect(screen.raw).not.toContain('\u001b');
});

test('a terminal gets colours, unless NO_COLOR or --no-color is set', async () => {
  await journal.finish(number, {status: 'SUCCESS', result: {}});
  const seen = async (env: Record<string, string>, ...flags: string[]) => {
    const screen = terminalOf({env}, 'operation', 'list', ...flags);
    expect(await screen.ended).toBe(0);
    await screen.sees('SUCCESS');
    return screen.raw.includes('\u001b[32m');
  };
  expect(await seen({})).toBe(true);
  expect(await Promise.all([seen({NO_COLOR: '1'}), seen({}, '--no-color'), seen({TERM: 'dumb'})])).toEqual([
    false,
    false,
    false,
  ]);
});
