import {existsSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {makeFolder, makeFolderSync} from '../../src/lib/files.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bkp-files-'));
});
afterEach(() => rmSync(root, {recursive: true}));

describe.each([
  ['makeFolder', makeFolder],
  ['makeFolderSync', async (folder: string, mode?: number) => makeFolderSync(folder, mode)],
])('%s', (_, make) => {
  test('creates all missing parents with the mode, and returns the topmost one', async () => {
    expect(await make(join(root, 'a/b/c'), 0o700)).toBe(join(root, 'a'));
    for (const name of ['a', 'a/b', 'a/b/c']) expect(statSync(join(root, name)).mode & 0o777).toBe(0o700);
  });

  test('returns undefined for an existing folder', async () => {
    expect(await make(root)).toBeUndefined();
  });

  test('fails when a file has the name, or is a parent', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(make(join(root, 'file'))).rejects.toMatchObject({code: 'EEXIST'});
    await expect(make(join(root, 'file/below'))).rejects.toMatchObject({code: 'ENOTDIR'});
  });

  test.skipIf(!existsSync('/proc/self'))('fails below /proc, where Node’s recursive mkdir never returns', async () => {
    await expect(make('/proc/absent/a/b')).rejects.toMatchObject({code: 'ENOENT', path: '/proc/absent'});
  });
});
