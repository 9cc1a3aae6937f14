import {expect, test} from 'vitest';
import {translated} from '../../../src/sources/postgres/connection/errors.ts';

const facts = {place: 'shop at db:5432', psql: '"host=db dbname=shop"'};
const reported = (code: string, more: object = {}) =>
  Object.assign(new Error('the message'), {severity: 'ERROR', code, detail: 'the detail', ...more});
const texts = 'SELECT 1;\n  CREATE TABLE  t\n (id nonsense)';

test.each([
  ['42P06', 'SOURCE_REFUSED', false, String.raw`\d *.*`],
  ['23505', 'SOURCE_REFUSED', false, 'change the rows'],
  ['P0001', 'SOURCE_REFUSED', false, 'current_setting($$log_directory$$)'],
  ['22003', 'SOURCE_REFUSED', false, 'current_setting($$log_directory$$)'],
  ['0A000', 'UNSUPPORTED', false, 'SELECT version()'],
  ['25006', 'PRECONDITION', false, 'current_setting($$default_transaction_read_only$$)'],
  ['40P01', 'SOURCE_LOCKED', true, 'give the statement again'],
  ['53200', 'SOURCE_UNAVAILABLE', true, 'give the statement again'],
  ['58030', 'SOURCE_UNAVAILABLE', false, 'current_setting($$log_directory$$)'],
  ['XX001', 'SOURCE_DAMAGED', false, 'pg_amcheck'],
  ['XX002', 'SOURCE_DAMAGED', false, 'REINDEX'],
] as const)('an error %s that a server answers is %s, and names its statement', (state, code, retryable, next) => {
  expect(translated(reported(state), facts, texts)).toMatchObject({
    code,
    retryable,
    message: 'database shop at db:5432 reported an error: the message',
    cause: `the detail; SQLSTATE ${state}; in: SELECT 1`,
    next: expect.stringContaining(next),
    context: {sqlState: state},
  });
  // The server knows better.
  expect(translated(reported(state, {hint: 'the hint'}), facts, texts)).toMatchObject({code, next: 'the hint'});
});

test('of several statements, the one with the error is named, on one line and not at full length', () => {
  const position = String(texts.indexOf('nonsense') + 1);
  expect(translated(reported('42704', {position}), facts, texts).cause).toContain('in: CREATE TABLE t (id nonsense)');
  const long = `SELECT '${'x'.repeat(10_000)}'`;
  expect(translated(reported('42704'), facts, long).cause!.toString().length).toBeLessThan(300);
});

test('a server that refuses the connection is unavailable', () => {
  const error = translated(reported('55000'), facts);
  expect(error).toMatchObject({code: 'SOURCE_UNAVAILABLE', next: expect.stringContaining("-c 'select 1'")});
});
