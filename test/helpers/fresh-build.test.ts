import {mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {whyStale} from './fresh-build.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bkp-build-'));
  mkdirSync(join(root, 'src/sql'), {recursive: true});
  write('src/main.ts', 100);
});
afterEach(() => rmSync(root, {recursive: true}));

function write(name: string, atSeconds: number): void {
  const file = join(root, name);
  mkdirSync(join(file, '..'), {recursive: true});
  writeFileSync(file, '');
  utimesSync(file, atSeconds, atSeconds);
}

test('a build that is newer than every source is tested', () => {
  write('dist/main.js', 200);
  write('src/sql/grammar.js', 300);
  expect(whyStale(root)).toBeUndefined();
});

test('a source that changed after the build fails the tests with its name', () => {
  write('dist/main.js', 200);
  write('src/sql/parse.ts', 201);
  expect(whyStale(root)).toMatch(/^dist\/ is older than .*src\/sql\/parse\.ts: run npm run build$/);
});

test('a missing build fails the tests', () => {
  expect(whyStale(root)).toBe('dist/ is missing: run npm run build');
});
