import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {expect, test} from 'vitest';
// @ts-expect-error the script is plain JavaScript
import {manPages} from '../scripts/man-pages.js';

const folder = resolve(import.meta.dirname, '../man');

test('the committed man pages are what the declarations of the commands say (else: npm run man)', async () => {
  const pages: Map<string, string> = await manPages();
  expect(readdirSync(folder).sort()).toEqual([...pages.keys()].sort());
  for (const [name, page] of pages) expect(readFileSync(join(folder, name), 'utf8'), name).toBe(page);
});

test('the package installs every page', () => {
  const {man} = JSON.parse(readFileSync(resolve(folder, '../package.json'), 'utf8')) as {man: string[]};
  expect([...man].sort()).toEqual(
    readdirSync(folder)
      .map((name) => `./man/${name}`)
      .sort(),
  );
});

function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], {stdio: 'ignore'});
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!has('man'))('man shows every page without a warning', () => {
  for (const name of readdirSync(folder)) {
    const run = `man --warnings=w -l "$1" 2>&1 >/dev/null`;
    const env = {PATH: '/usr/bin:/bin', MANWIDTH: '80', LC_ALL: 'C.UTF-8'};
    expect(execFileSync('sh', ['-c', run, 'sh', join(folder, name)], {env, encoding: 'utf8'}), name).toBe('');
  }
});
