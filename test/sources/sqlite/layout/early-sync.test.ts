import {closeSync, openSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {expect, test, vi} from 'vitest';
import {EarlySync} from '../../../../src/sources/sqlite/layout/early-sync.ts';

test('an error of the disk is reported, because the system reports it only once', async () => {
  const file = openSync('/dev/null', 'r+');
  closeSync(file);
  const failed = vi.fn();
  const sync = new EarlySync(file, failed);
  await expect.poll(() => failed.mock.calls.length).toBeGreaterThan(0);
  expect(failed.mock.calls[0]![0]).toMatchObject({code: 'EBADF', syscall: 'fdatasync'});
  await sync.stop();
});

test('a file system that cannot sync is not an error', async () => {
  const file = openSync('/dev/null', 'r+');
  const failed = vi.fn();
  const sync = new EarlySync(file, failed);
  await sleep(500);
  await sync.stop();
  closeSync(file);
  expect(failed).not.toHaveBeenCalled();
});
