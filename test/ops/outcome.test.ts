import {expect, test} from 'vitest';
import {BkpError} from '../../src/errors/index.ts';
import {failure} from '../../src/ops/index.ts';
import {delivered} from '../../src/ops/outcome.ts';

test('the error is the first issue, and its details are the others', () => {
  const error = new BkpError('DAMAGE_FOUND', '2 objects are damaged', {details: ['pack a', 'pack b'], next: 'look'});
  expect(failure(error)).toMatchObject({
    status: 'ERROR',
    error: {code: 'DAMAGE_FOUND', status: 'GENERIC_ERROR'},
    issues: [
      {message: '2 objects are damaged', code: 'DAMAGE_FOUND', next: 'look'},
      {message: 'pack a'},
      {message: 'pack b'},
    ],
    result: {},
  });
});

test('work that delivers all succeeds, and work that names something missing ends PARTIAL', () => {
  const missing = [{name: 'orders', why: 'a chunk is damaged'}];
  expect(delivered({rows: 3})).toEqual({status: 'SUCCESS', result: {rows: 3}});
  expect(delivered({rows: 3, missing})).toEqual({status: 'PARTIAL', result: {rows: 3, missing}});
});

test('at most a hundred details are kept, and the rest are counted', () => {
  const details = Array.from({length: 250}, (_, at) => `fault ${at}`);
  const outcome = failure(new BkpError('DAMAGE_FOUND', '250 objects are damaged', {details}));
  if (outcome.status !== 'ERROR') throw new Error(outcome.status);
  expect(outcome.issues).toHaveLength(1 + 100 + 1);
  expect(outcome.issues.at(-1)?.message).toMatch(/150 more/);
  expect(outcome.error.details).toHaveLength(101);
});

test('an unforeseen error is a bug in bkp, with its stack', () => {
  expect(failure(new TypeError('x is undefined'))).toMatchObject({
    error: {code: 'INTERNAL', stack: expect.stringContaining('TypeError')},
    issues: [{message: expect.stringContaining('x is undefined')}],
  });
});
