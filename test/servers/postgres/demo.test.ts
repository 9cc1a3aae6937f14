import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {openDesk} from '../../helpers/desk.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile();

test('the demo starts a server, restores every row each time, and leaves nothing', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'd'));
  onTestFinished(() => rmSync(temporary, {recursive: true, force: true}));
  execFileSync('chmod', ['711', temporary]);
  const desk = openDesk(undefined, {TMPDIR: temporary, PATH: `${cluster().bin}:${process.env.PATH}`});
  const shown = await desk.bkp('demo', '--postgres', '--customers', '100');
  expect(shown, `${shown.stdout}${shown.stderr}`).toMatchObject({status: 0});
  expect(shown.stdout.match(/✓ every row/gu)).toHaveLength(3);
  expect(shown.stdout).toContain("LEVEL='restore'");
  expect(readdirSync(temporary)).toEqual([]);
});
