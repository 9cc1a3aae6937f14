import {expect, test} from 'vitest';
import {printChecks} from '../../src/commands/checks.ts';
import type {CommandDeps} from '../../src/commands/deps.ts';

const check = {
  what: 'source: taken whole',
  ok: false,
  detail: `${'a table with a very long name, '.repeat(6)}and another one`,
  next: `sqlite3 '/a/${'long-'.repeat(20)}path.db' 'PRAGMA journal_mode = WAL'`,
};

function printed(stdout: {isTTY?: boolean; columns?: number}): string {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  printChecks(
    {stdout: {...stdout, write}, colors: false, exitWith: () => {}} as never as CommandDeps,
    [check],
    'pretty',
  );
  return text;
}

test('in a terminal a check wraps between words, and a command in its next step stays one line to copy', () => {
  const lines = printed({isTTY: true, columns: 60}).trimEnd().split('\n');
  expect(lines.pop()).toBe(`      next: ${check.next}`);
  expect(lines[0]).toMatch(/^FAIL {2}source: taken whole: a table/);
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines.slice(1)) expect(line).toMatch(/^ {6}\S.{0,53}$/);
  expect(lines.join(' ').replace(/ +/g, ' ')).toBe(`FAIL ${check.what}: ${check.detail}`);
});

test('in a pipe a check is one line, and its next step another', () => {
  expect(printed({}).trimEnd().split('\n')).toHaveLength(2);
});
