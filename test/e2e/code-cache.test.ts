import {chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {runBkp, temporaryHome} from '../helpers/bkp.ts';

const {version} = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));

let home: string;
let remove: () => void;
beforeEach(() => {
  ({home, remove} = temporaryHome());
});
afterEach(() => {
  chmodSync(home, 0o700);
  remove();
});

/** Runs without the compiled code that all other tests share. */
const runVersion = (at = home, args = ['--version']) =>
  runBkp(args, {home: at, cwd: home, env: {NODE_COMPILE_CACHE: ''}});

const codeIn = (at: string) => join(at, 'cache', 'code');
const works = {status: 0, stdout: `${version}\n`, stderr: ''};

test('compiled code is kept in the home, in a folder of the version that only its user can read', async () => {
  expect(await runVersion()).toEqual(works);
  const folder = join(codeIn(home), version);
  const [compiled, ...others] = readdirSync(folder);
  expect(others).toEqual([]);
  expect(readdirSync(join(folder, compiled!)).length).toBeGreaterThan(1);
  for (const path of [join(home, 'cache'), codeIn(home), folder]) expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await runVersion()).toEqual(works);
});

test('--home names the home whose compiled code is used', async () => {
  expect(await runVersion('/nonexistent', ['--home', home, '--version'])).toEqual(works);
  expect(existsSync(codeIn(home))).toBe(true);
});

test('compiled code of other versions is removed when a version runs for the first time', async () => {
  mkdirSync(join(codeIn(home), '0.0.9', 'v24'), {recursive: true});
  await runVersion();
  expect(readdirSync(codeIn(home))).toEqual([version]);
});

test('a home that does not exist is not created for compiled code', async () => {
  expect(await runVersion(join(home, 'none'))).toEqual(works);
  expect(existsSync(join(home, 'none'))).toBe(false);
});

test('bkp works without a folder for compiled code', async () => {
  writeFileSync(join(home, 'cache'), 'in the way');
  expect(await runVersion()).toEqual(works);
});

test('bkp works with compiled code that is damaged', async () => {
  await runVersion();
  const [folder] = readdirSync(join(codeIn(home), version)).map((name) => join(codeIn(home), version, name));
  for (const name of readdirSync(folder!)) writeFileSync(join(folder!, name), 'damaged');
  expect(await runVersion()).toEqual(works);
});

test.runIf(process.getuid?.() === 0)('compiled code in the home of another user is not used', async () => {
  chownSync(home, 12345, 12345);
  expect(await runVersion()).toEqual(works);
  expect(existsSync(codeIn(home))).toBe(false);
});
