import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {directoryError} from '../../../src/stores/directory/errors.ts';

test('a missing right is reported of the folder or file that lacks it', () => {
  const root = mkdtempSync(join(tmpdir(), 'bkp-rights-'));
  onTestFinished(() => rmSync(root, {recursive: true}));
  mkdirSync(join(root, 'packs/70'), {recursive: true});
  writeFileSync(join(root, 'packs/70/70fc'), '');
  const next = (path?: string) => {
    const error = Object.assign(new Error('EACCES: permission denied'), {code: 'EACCES', path});
    return directoryError(error, root, 'read packs/70/70fc');
  };
  const both = (above: string, path: string) => `read and write ${path} (ls -ld '${above}' '${path}')`;
  const pack = join(root, 'packs/70/70fc');
  expect(next(pack)).toMatchObject({next: expect.stringContaining(both(join(root, 'packs/70'), pack))});
  // Not seen: the folder may not be searched, or the file was to be made.
  expect(next(join(root, 'packs/71/x'))).toMatchObject({
    next: expect.stringContaining(both(root, join(root, 'packs'))),
  });
  expect(next(root)).toMatchObject({next: expect.stringContaining(`${root} (ls -ld '${root}')`)});
  expect(next()).toMatchObject({next: expect.stringContaining(`${root} (ls -ld '${root}')`)});
});
