import {expect, test} from 'vitest';
import {asPlain} from '../../src/errors/index.ts';

const full = (path?: string) =>
  Object.assign(new Error('ENOSPC: no space left on device, write'), {code: 'ENOSPC', syscall: 'write', path});

test('a full disk is "there" only if the error names a place', () => {
  expect(asPlain(full('/mnt/a')).next).toBe('free some space there');
  expect(asPlain(full()).next).toContain('df -h');
});
