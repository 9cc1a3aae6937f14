import {copyFileSync, linkSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {isSameFile, isSamePlace, type Origin, originOf} from '../../src/sources/origin.ts';

const at = (path: string) => ({description: `sqlite::path=${path}`, origin: originOf(path)!});

test('a file is the same through a link and under a new name; a copy is another file, even at the old path', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-origin-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const [path, copy, link, hard] = ['app.db', 'copy.db', 'link.db', 'hard.db'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  expect(originOf(path)).toBeUndefined();
  writeFileSync(path, 'x');
  copyFileSync(path, copy);
  symlinkSync(path, link);
  linkSync(path, hard);
  const known = at(path);
  expect(isSamePlace(known, at(link))).toBe(true);
  expect(isSamePlace(known, at(hard))).toBe(true);
  expect(isSamePlace(known, at(copy))).toBe(false);
  // VACUUM INTO and rename, an editor, a restore: another file, and the same place.
  renameSync(copy, path);
  expect(isSamePlace(known, at(path))).toBe(true);
  expect(isSameFile(known.origin, at(path).origin)).toBe(false);
});

const origin: Origin = {host: 'db1', machine: 'm1', path: '/srv/app.db', file: '7-100'};
test.each<[string, Partial<Origin>, boolean]>([
  ['nothing changed', {}, true],
  ['another file at the path', {file: '8-200'}, true],
  ['the file under another path', {path: '/data/app.db'}, true],
  ['the file in a container of another name', {host: '3f2a'}, true],
  ['a copy under another path', {path: '/data/app.db', file: '8-200'}, false],
  ['a copy at the same path of another host', {host: 'laptop', file: '8-200'}, false],
  ['a copy at the same path of another machine of that name', {machine: 'm2', file: '8-200'}, false],
  ['an inode that was used again', {path: '/data/app.db', file: '7-200'}, false],
  ['the inode of another disk, without births', {path: '/data/app.db', file: '7'}, false],
])('%s', (_, change, same) => {
  const description = 'sqlite::path=/srv/app.db';
  const now = {...origin, ...change};
  expect(isSamePlace({description, origin}, {description: `sqlite::path=${now.path}`, origin: now})).toBe(same);
});

test('the description decides without an origin; with one, a moved link is still the same location', () => {
  const [a, b] = [{description: 'a'}, {description: 'b'}];
  expect(isSamePlace(a, {...a, origin})).toBe(true);
  expect(isSamePlace(a, {...b, origin})).toBe(false);
  const released = {...origin, path: '/srv/releases/2/app.db', file: '9-300'};
  expect(isSamePlace({...a, origin}, {...a, origin: released})).toBe(true);
});
