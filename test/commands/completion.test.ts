import {execFileSync} from 'node:child_process';
import {existsSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {openProfiles, resolveHome} from '../../src/config/index.ts';
import {bareEnv, bkpFile, runBkp, temporaryHome} from '../helpers/bkp.ts';
import {addSucceeded, journalAt} from '../helpers/journal.ts';

let home: string;
let remove: () => void;

beforeAll(async () => {
  ({home, remove} = temporaryHome());
  symlinkSync(bkpFile, join(home, 'bkp'));
  const journal = journalAt(home);
  await addSucceeded(journal, {
    subject: {kind: 'collection', name: 'shop'},
    backup: 'shop/20261121120000Z_full',
  });
  await addSucceeded(journal, {subject: {kind: 'collection', name: '$(touch broken)'}, kind: 'incbackup'});
  await addSucceeded(journal, {subject: {kind: 'collection', name: 'two\nlines'}, kind: 'restore'});
  journal.close();
  const profiles = await openProfiles(resolveHome({BKP_HOME: home}, process.platform, home));
  await profiles.create('night');
});
afterAll(() => remove());

const complete = async (...words: string[]) => {
  const {status, stdout, stderr} = await runBkp(['__complete', '--', ...words], {home});
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\n').slice(0, -1);
};

test.each([
  [['op'], ['operation']],
  [['nosuch', ''], []],
  [['help', 'oper'], ['operation']],
  [
    ['operation', ''],
    ['list', 'get', 'wait', 'watch', 'cancel', 'throttle', 'forget'],
  ],
  [['operation', 'f'], ['forget']],
  [['operation', 'list', 'i'], ['incbackup']],
  [
    ['operation', 'list', '-s', '5', 're'],
    ['reencrypt', 'restore'],
  ],
  [
    ['vault', 'key', 'r'],
    ['remove', 'rotate'],
  ],
  [['vault', 'key', 'rotate', '--r'], ['--reencrypt']],
  [
    ['vault', 'key', 'add', '--k'],
    ['--kit', '--key-file', '--kms'],
  ],
  [['vault', 'key', 'passwd', '--format', 'j'], ['json']],
  [['operation', 'list', '--f'], ['--format']],
  [['operation', 'list', '--format', 'j'], ['json']],
  [
    ['operation', 'list', '--format=p'],
    ['--format=pretty', '--format=proto-json-base64'],
  ],
  [['operation', 'list', '--format', '=', 'j'], ['json']],
  [['operation', 'list', '--no'], ['--no-color']],
  [
    ['operation', 'get', ''],
    ['restore/3', 'incbackup/2', 'fullbackup/1', 'last'],
  ],
  [['operation', 'wait', '1', 'full'], ['fullbackup/1']],
  [['operation', 'get', '1', ''], []],
  [['--profile', 'n'], ['night']],
  [
    ['collection', 'show', ''],
    ['$(touch broken)', 'shop'],
  ],
  [['diff', 'shop', '2026'], ['20261121120000Z_full']],
  [['diff', 'shop', '20261121120000Z', 'n'], ['now']],
  [['export', 'shop', 'a.db', '--at', ''], ['20261121120000Z_full']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
])('%j', async (words, candidates) => {
  expect(await complete(...words)).toEqual(candidates);
});

test('hidden commands and options are not offered', async () => {
  const groups = await complete('');
  expect(groups).toContain('operation');
  expect(groups.filter((name) => name.startsWith('_') || name === 'worker')).toEqual([]);
  expect(await complete('operation', 'list', '--j')).toEqual([]);
});

test('completion creates no journal', async () => {
  const other = temporaryHome();
  try {
    const {stdout} = await runBkp(['__complete', '--', 'operation', 'get', ''], {home: other.home});
    expect(stdout).toBe('last\n');
    expect(existsSync(resolveHome({BKP_HOME: other.home}, process.platform, other.home).journalFile)).toBe(false);
  } finally {
    other.remove();
  }
});

/** The completions of a shell that has `bkp` first on its path. */
function shell(program: string, args: string[]): string {
  const env = bareEnv({home, env: {TERM: 'dumb'}});
  return execFileSync(program, args, {
    cwd: home,
    env: {...env, PATH: `${home}:${env.PATH}`},
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const inBash = (...words: string[]) =>
  shell('bash', [
    '-c',
    `source <(bkp completion bash) && complete -p bkp >&2
     COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _bkp && printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    'bkp',
    ...words,
  ]);

test('bash', () => {
  expect(inBash('operation', 'g')).toBe('get\n');
  expect(inBash('operation', 'get', '')).toBe('restore/3\nincbackup/2\nfullbackup/1\nlast\n');
  // The candidate is quoted for the command line, and no part of it was executed.
  expect(inBash('collection', 'show', '')).toBe('\\$\\(touch\\ broken\\)\nshop\n');
  expect(existsSync(join(home, 'broken'))).toBe(false);
});

const has = (program: string) => {
  try {
    execFileSync(program, ['--version'], {stdio: 'ignore'});
    return true;
  } catch {
    return false;
  }
};

test.skipIf(!has('zsh'))('zsh', () => {
  // zsh completes only in an interactive line editor; a stand-in prints the arguments that it gets.
  const inZsh = (...words: string[]) =>
    shell('zsh', [
      '-fc',
      `compdef() { print -r -- "compdef $*" }; compadd() { shift; print -rl -- "$@" }; _files() { print files }
       source <(bkp completion zsh); words=("$@"); CURRENT=$#; _bkp`,
      'zsh',
      'bkp',
      ...words,
    ]);
  expect(inZsh('operation', 'g')).toBe('compdef _bkp bkp\nget\n');
  expect(inZsh('collection', 'show', '')).toBe('compdef _bkp bkp\n$(touch broken)\nshop\n');
  expect(inZsh('sql', '-f', '')).toBe('compdef _bkp bkp\nfiles\n');
  expect(existsSync(join(home, 'broken'))).toBe(false);
});

test.skipIf(!has('fish'))('fish', () => {
  const inFish = (line: string) =>
    shell('fish', ['-Nc', `bkp completion fish | source; complete -C ${JSON.stringify(line)}`]);
  expect(inFish('bkp operation g')).toBe('get\n');
  expect(inFish('bkp operation get full')).toBe('fullbackup/1\n');
  expect(inFish('bkp collection show ').split('\n').sort()).toEqual(['', '$(touch broken)', 'shop']);
  expect(existsSync(join(home, 'broken'))).toBe(false);
});
