import {spawn} from '@lydell/node-pty';
import {expect, test} from 'vitest';
import {password} from '../fixtures/secrets.ts';
import {fixtureOf, readerPath} from './run.ts';

/** What is on the terminal after the typing, and the exit status. */
function typed(keys: string): Promise<{screen: string; status: number}> {
  return new Promise((resolve) => {
    const {BKP_PASSWORD: _, BKP_PASSWORD_FILE: _file, ...env} = process.env;
    const terminal = spawn(process.execPath, [readerPath, fixtureOf('vault-3').store], {env, cols: 200});
    let screen = '';
    let isAsked = false;
    terminal.onData((data) => {
      screen += data;
      if (isAsked || !screen.includes('Password of the vault')) return;
      isAsked = true;
      terminal.write(keys);
    });
    terminal.onExit(({exitCode}) => resolve({screen, status: exitCode}));
  });
}

test('on a terminal the password is asked for, is not shown, and can be corrected', async () => {
  const {screen, status} = await typed(`${password}éx\u007f\u007f\r`);
  expect(screen).toContain('collection shop');
  expect(screen).not.toContain('battery');
  expect(status).toBe(0);
});

test('Ctrl+C at the question ends the reader', async () => {
  const {screen, status} = await typed('half a pass\u0003');
  expect(screen).toContain('interrupted');
  expect(screen).not.toContain('half');
  expect(status).toBe(1);
});
