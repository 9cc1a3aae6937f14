import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {expect, test} from 'vitest';
import {systemProcesses} from '../../src/lib/processes.ts';

const {self, identify, fateOf} = systemProcesses;

test('this process is alive, and another process with its number is not taken for it', () => {
  const me = self();
  expect(me.pid).toBe(process.pid);
  expect(fateOf(me)).toBe('alive');
  expect(self()).toEqual(me);
  expect(fateOf({...me, startedAt: `${me.startedAt}0`})).toBe('replaced');
  expect(fateOf({...me, space: 'another'})).toBe('unseen');
});

const other = {name: 'another', id: 'another', cards: 'another'};

test('a process of another machine is elsewhere, whatever its pid and its boot', () => {
  const me = self();
  expect(fateOf({...me, machine: other})).toBe('elsewhere');
  expect(fateOf({...me, boot: 'another', machine: other})).toBe('elsewhere');
  // One of name and cards may change while the machine is up.
  expect(fateOf({...me, machine: {...me.machine!, name: 'another'}})).toBe(
    me.machine!.cards === '' ? 'elsewhere' : 'alive',
  );
  expect(fateOf({...me, machine: {...me.machine!, cards: 'another'}})).toBe('alive');
  // Clones of an image may have the id of this machine.
  expect(fateOf({...me, boot: 'another', machine: {...other, id: me.machine!.id}})).toBe('elsewhere');
});

test('only a machine with an id of its own can be seen to have restarted', () => {
  const me = self();
  const restarted = {...me, boot: 'another'};
  expect(fateOf(restarted)).toBe(me.machine!.id === '' ? 'elsewhere' : 'rebooted');
  expect(fateOf({...restarted, machine: {...me.machine!, id: ''}})).toBe('elsewhere');
  // Earlier versions recorded no machine.
  expect(fateOf({...restarted, machine: undefined})).toBe('rebooted');
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

test.skipIf(process.platform !== 'linux')('a zombie is gone, although its number still exists', async () => {
  // The shell becomes `sleep`, which never waits for the shell's child.
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
