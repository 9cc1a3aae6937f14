import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {command} from '../../../src/commands/schedule/index.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';

function openDeps(): TestDeps {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-schedule-'));
  const deps = testDeps(join(folder, 'home'));
  onTestFinished(() => {
    deps.close();
    rmSync(folder, {recursive: true, force: true});
  });
  return deps;
}

const next = (deps: TestDeps, ...args: string[]) => command(deps).parseAsync(['next', ...args], {from: 'user'});

test('--cron shows the times of a line in its zone from a given time, without a profile', async () => {
  const deps = openDeps();
  await next(deps, '--cron', '0 6 31W * *', '--tz', 'Europe/Berlin', '--from', '2026-01-01', '--count', '3');
  expect(deps.out()).toBe(
    [
      'at                    local_time',
      '2026-01-30T05:00:00Z  Fri 2026-01-30 06:00 Europe/Berlin',
      '2026-03-31T04:00:00Z  Tue 2026-03-31 06:00 Europe/Berlin',
      '2026-05-29T04:00:00Z  Fri 2026-05-29 06:00 Europe/Berlin',
      '',
    ].join('\n'),
  );
});

test('--cron defaults to UTC and to now', async () => {
  const deps = {...openDeps(), nowMicros: () => Date.UTC(2026, 0, 1, 5) * 1000};
  await next(deps, '--cron', '0 6 * * *', '--count', '1', '--format', 'json');
  expect(JSON.parse(deps.out())).toEqual({at: '2026-01-01T06:00:00Z', local_time: 'Thu 2026-01-01 06:00 UTC'});
});

test('--cron refuses an invalid line, zone or time, and --tz and --from need --cron', async () => {
  const deps = openDeps();
  await expect(next(deps, '--cron', '0 6 32W * *')).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await expect(next(deps, '--cron', '0 6 * * *', '--tz', 'Mars/Base')).rejects.toMatchObject({code: 'BAD_REQUEST'});
  await expect(next(deps, '--cron', '0 6 * * *', '--from', 'soon')).rejects.toMatchObject({code: 'USAGE'});
  await expect(next(deps, '--tz', 'UTC')).rejects.toMatchObject({code: 'USAGE'});
  await expect(next(deps, 'shop', '--cron', '0 6 * * *')).rejects.toMatchObject({code: 'USAGE'});
  expect(deps.out()).toBe('');
});
