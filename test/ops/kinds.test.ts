import {expect, test} from 'vitest';
import {kindNoun, kindsUnder, operationKinds, parseKind, parseOperationId} from '../../src/ops/index.ts';

test.each([
  ['fullbackup/1', {kind: 'fullbackup', number: 1}],
  ['incbackup/12', {kind: 'incbackup', number: 12}],
  ['verify/3', {kind: 'verify', number: 3}],
  ['007', {number: 7}],
  ['last', {last: true}],
  ['ydb://fullbackup/14?id=9999', {kind: 'fullbackup', number: 9999}],
  ['ydb://incbackup/11?id=5', {kind: 'incbackup', number: 5}],
  ['ydb://restore/12?id=5', {kind: 'restore', number: 5}],
  // The number after the slash is the kind, whatever the word says.
  ['ydb://incbackup/14?id=5', {kind: 'fullbackup', number: 5}],
  ['ydb://fullbackup/14?node=1&id=5', {kind: 'fullbackup', number: 5}],
  ['ydb://fullbackup/14?id=%35', {kind: 'fullbackup', number: 5}],
  ['ydb%3A%2F%2Ffullbackup%2F14%3Fid%3D5', {kind: 'fullbackup', number: 5}],
  ['ydb%3a%2f%2ffullbackup%2f14%3fid%3d5', {kind: 'fullbackup', number: 5}],
  ['fullbackup%2F5', {kind: 'fullbackup', number: 5}],
])('%s is an operation id', (text, ref) => {
  expect(parseOperationId(text)).toEqual(ref);
});

test.each([
  '',
  'notanid',
  'nosuch/1',
  'fullbackup/',
  'fullbackup/x',
  'fullbackup/1/2',
  '-1',
  '1.5',
  '1e3',
  '99999999999999999999',
  'LAST',
  '%zz',
  'ydb://fullbackup/14',
  'ydb://fullbackup/14?id=',
  'ydb://fullbackup/14?id=x',
  'ydb://export/6?id=1',
  'ydb://fullbackup?id=1',
])('%j is no operation id, and the error says what is', (text) => {
  expect(() => parseOperationId(text)).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: expect.stringContaining('Invalid operation ID'),
      next: expect.stringMatching(/fullbackup\/1.*\b1\b.*last.*ydb:\/\/fullbackup\/14\?id=1/),
    }),
  );
});

test('the error for an unknown kind lists all kinds, sorted', () => {
  expect(() => parseKind('nosuch')).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message:
        'Invalid kind. Use one of: cleanup, copy, dbbackup, dbrestore, fullbackup, incbackup, reencrypt, restore, ' +
        'verify',
    }),
  );
  for (const kind of operationKinds) expect(parseKind(kind)).toBe(kind);
});

test('incbackup lists all backups; every other kind lists only itself', () => {
  expect([...kindsUnder('incbackup')].sort()).toEqual(['fullbackup', 'incbackup']);
  expect(kindsUnder('fullbackup')).toEqual(['fullbackup']);
  expect(kindsUnder('restore')).toEqual(['restore']);
});

test('an operation of an unknown kind is called “operation”', () => {
  expect(kindNoun('incbackup')).toBe('Incremental backup');
  expect(kindNoun(undefined)).toBe('Operation');
});
