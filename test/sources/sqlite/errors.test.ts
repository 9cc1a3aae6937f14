import {expect, test} from 'vitest';
import {translated} from '../../../src/sources/sqlite/engine/errors.ts';

test.each([
  ['a file that reaches the limit of its user', Object.assign(new Error('EFBIG'), {code: 'EFBIG'}), 'SOURCE_FULL'],
  ['a full disk', Object.assign(new Error('ENOSPC'), {code: 'ENOSPC'}), 'SOURCE_FULL'],
  [
    'memory that threads cannot get',
    new RangeError('WebAssembly.Memory(): could not allocate memory'),
    'SOURCE_UNAVAILABLE',
  ],
])('%s is an error with a next step, and no bug', (_, error, code) => {
  expect(translated(error, '/srv/app.db')).toMatchObject({code, next: expect.any(String), cause: error});
});

test('an unknown error stays as it is', () => {
  const error = new RangeError('Invalid array length');
  expect(translated(error, '/srv/app.db')).toBe(error);
});
