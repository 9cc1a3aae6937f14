import type {Command} from 'commander';
import {expect, test, vi} from 'vitest';
import type {CommandDeps} from '../../../src/commands/deps.ts';
import {operationCancel} from '../../../src/commands/operation/cancel.ts';
import {operationForget} from '../../../src/commands/operation/forget.ts';
import {operationGet} from '../../../src/commands/operation/get.ts';
import {operationList} from '../../../src/commands/operation/list.ts';
import {operationThrottle} from '../../../src/commands/operation/throttle.ts';
import {operationWait} from '../../../src/commands/operation/wait.ts';
import {operationWatch} from '../../../src/commands/operation/watch.ts';

type Declare = (deps: CommandDeps, run: (deps: CommandDeps, options: never) => Promise<0>) => Command;

/** @returns the options that `run` is called with for these words */
async function parsed(declare: unknown, words: string[]): Promise<unknown> {
  const run = vi.fn(async () => 0 as const);
  const deps = {exitWith: vi.fn()} as unknown as CommandDeps;
  await (declare as Declare)(deps, run).exitOverride().parseAsync(words, {from: 'user'});
  expect(deps.exitWith).toHaveBeenCalledWith(0);
  return (run.mock.calls as unknown[][])[0]![1];
}

test.each([
  [[], {pageSize: 10, page: 1, format: 'pretty'}],
  [['incbackup', '-s', '2', '-t', '3'], {kind: 'incbackup', pageSize: 2, page: 3, format: 'pretty'}],
  [['--page-size=200', '--page-token', '0'], {pageSize: 200, page: 1, format: 'pretty'}],
  [['--format', 'proto-json-base64'], {pageSize: 10, page: 1, format: 'proto-json-base64'}],
  [['--json', 'restore'], {kind: 'restore', pageSize: 10, page: 1, format: 'json'}],
])('list %j', async (words, options) => {
  expect(await parsed(operationList, words)).toEqual(options);
});

test.each([
  [operationList, ['nosuch'], 'USAGE', 'Invalid kind. Use one of: cleanup, '],
  [operationList, ['-s', 'ten'], 'USAGE', 'Invalid page size: "ten"'],
  [operationList, ['-s', '0'], 'USAGE', 'Invalid page size: "0"'],
  [operationList, ['-t', 'abc'], 'BAD_REQUEST', 'Unable to parse page token'],
  [operationGet, ['notanid'], 'USAGE', 'Invalid operation ID'],
  [operationForget, ['ydb://fullbackup/14'], 'USAGE', 'Invalid operation ID'],
  [operationWait, ['1', '--timeout', '5'], 'USAGE', 'Invalid duration: "5"'],
  [operationThrottle, ['1', 'fast'], 'USAGE', '"fast" is not a rate'],
  [operationThrottle, ['1', '1KB'], 'USAGE', 'a limit of 1000 bytes per second is too low'],
  [operationWatch, ['1', 'x'], 'USAGE', 'Invalid operation ID'],
])('%o %j is refused', async (declare, words, code, message) => {
  await expect(parsed(declare, words as string[])).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message as string),
  });
});

test.each([
  [operationGet, ['last'], {ref: {last: true}, format: 'pretty', log: false}],
  [operationGet, ['fullbackup/1', '--log'], {ref: {kind: 'fullbackup', number: 1}, format: 'pretty', log: true}],
  [operationGet, ['ydb://x/12?id=7', '--json'], {ref: {kind: 'restore', number: 7}, format: 'json', log: false}],
  [operationWait, ['1', 'last'], {refs: [{number: 1}, {last: true}], format: 'pretty'}],
  [operationWait, ['1', '--timeout', '1h30m'], {refs: [{number: 1}], timeoutMs: 5_400_000, format: 'pretty'}],
  [operationWatch, [], {refs: []}],
  [operationWatch, ['2'], {refs: [{number: 2}]}],
  [operationCancel, ['3'], {ref: {number: 3}}],
  [
    operationThrottle,
    ['3', '10MB'],
    {ref: {number: 3}, change: {uploadBytesPerSecond: 10_000_000, downloadBytesPerSecond: 10_000_000}},
  ],
  [operationThrottle, ['3', 'off', '--upload'], {ref: {number: 3}, change: {uploadBytesPerSecond: null}}],
  [operationThrottle, ['last', '1MiB', '--download'], {ref: {last: true}, change: {downloadBytesPerSecond: 1_048_576}}],
  [
    operationThrottle,
    ['3', 'off', '--download', '--upload'],
    {ref: {number: 3}, change: {uploadBytesPerSecond: null, downloadBytesPerSecond: null}},
  ],
  [operationForget, ['incbackup/4'], {ref: {kind: 'incbackup', number: 4}}],
])('%o %j', async (declare, words, options) => {
  expect(await parsed(declare, words as string[])).toEqual(options);
});
