import {expect, test} from 'vitest';
import {kmsError} from '../../src/app/places/kms-error.ts';
import {asPlain, BkpError} from '../../src/errors/index.ts';
import {failureOf} from '../../src/stores/s3/connection/failure.ts';

const secret = 'hunter2SEK';

function parserError(text: string): SyntaxError {
  try {
    JSON.parse(text);
  } catch (error) {
    return error as SyntaxError;
  }
  throw new Error('it is JSON');
}

test.each([
  `{"password": ${secret}"}`,
  `${secret}`,
  `{"a long text before it, and so on": 1,\n "password": ${secret}RET"\n, "more": "and a long text behind it"}`,
  `["\n${secret}"]`,
])('no part of %j gets into an error, whoever parsed it', (text) => {
  const error = parserError(text);
  const printed = [
    asPlain(error),
    asPlain(new BkpError('USAGE', 'it is damaged', {cause: error, next: 'mend it'})),
    asPlain(new BkpError('USAGE', 'it is damaged', {cause: new Error('below', {cause: error}), next: 'mend it'})),
  ];
  expect(JSON.stringify(printed)).not.toContain('hunter');
  expect(printed[0]!.stack).toContain(import.meta.filename);
});

test.each([
  ['S3', (message: string) => failureOf({name: 'CredentialsProviderError', message}).message],
  ['KMS', (message: string) => kmsError({name: 'SyntaxError', message}, {key: 'alias/a', call: 'Decrypt'}).cause],
])('nor when the library of %s passes on what its parser said', (_, textOf) => {
  expect(textOf(parserError(`{"Plaintext": ${secret}"}`).message)).toMatch(/a text is not valid JSON$/);
});

test('other errors keep their words', () => {
  expect(asPlain(new TypeError('"x" is not valid JSON')).message).toBe(
    'unexpected error in bkp: "x" is not valid JSON',
  );
});
