import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {expect, test} from 'vitest';
import {systemProcesses} from '../../src/ops/index.ts';

const {self, identify, fateOf} = systemProcesses;

test('this process is alive, and is told apart from another one with its number', () => {
  const me = self();
  expect(me.pid).toBe(process.pid);
  expect(fateOf(me)).toBe('alive');
  expect(self()).toEqual(me);
  expect(fateOf({...me, startedAt: `${me.startedAt}0`})).toBe('replaced');
  expect(fateOf({...me, boot: 'another'})).toBe('rebooted');
  expect(fateOf({...me, space: 'another'})).toBe('unseen');
});

test('a process is alive until it ends', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {stdio: 'ignore'});
  await once(child, 'spawn');
  const identity = identify(child.pid!)!;
  expect(fateOf(identity)).toBe('alive');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(fateOf(identity)).toBe('gone');
  expect(identify(child.pid!)).toBeUndefined();
});

test.skipIf(process.platform !== 'linux')('a zombie is gone, although it has a number', async () => {
  // The shell becomes `sleep`, which never asks for the end of the shell's child.
  const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 30'], {stdio: ['ignore', 'pipe', 'ignore']});
  try {
    const [line] = await once(parent.stdout!, 'data');
    const pid = Number(String(line));
    await expect.poll(() => identify(pid)).toBeUndefined();
    expect(process.kill(pid, 0)).toBe(true);
  } finally {
    parent.kill('SIGKILL');
  }
});
