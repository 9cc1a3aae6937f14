import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {ExitStatus} from '../../src/errors/index.ts';

test('the manual lists exactly the exit statuses that bkp has', () => {
  const manual = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  const section = manual.split(/^## /m).find((text) => text.startsWith('Exit statuses'))!;
  const listed = [...section.matchAll(/^\| (\d+) \|/gm)].map(([, status]) => Number(status));
  expect(listed).toEqual(Object.values(ExitStatus).sort((a, b) => a - b));
});
