import {expect, test} from 'vitest';
import {keyCuts, readKeyCuts, readRowidCuts, rowidCuts} from '../../../../src/sources/sqlite/pages/cuts.ts';

test('cuts of a rowid tree are read back, with every rowid of 64 bits', () => {
  const cuts = {segments: 4, ends: [-(2n ** 63n), 0n, 2n ** 63n - 2n]};
  expect(readRowidCuts(rowidCuts(cuts))).toEqual(cuts);
  expect(readRowidCuts(rowidCuts({...cuts, segments: 3}))).toEqual({...cuts, segments: 3});
  expect(readRowidCuts(rowidCuts({segments: 0, ends: []}))).toEqual({segments: 0, ends: []});
  expect(readRowidCuts(undefined)).toBeUndefined();
});

test('cuts of a key tree are read back for the same hash only', () => {
  const cuts = {hashed: 'tail', bits: 12, records: 5, bytes: 99, firsts: ['0123456789abcdef']} as const;
  expect(readKeyCuts(keyCuts(cuts), 'tail')).toMatchObject(cuts);
  expect(readKeyCuts(keyCuts(cuts), 'head')).toBeUndefined();
});

test.each([
  ['no JSON', '{'],
  ['of rows', '{"version":1,"keyParts":1,"rowsPerSegment":10,"ranges":[{"segment":0,"rows":1}]}'],
  ['of a newer version', '{"version":2,"kind":"rowid","segments":2,"ends":["5"]}'],
  ['of another kind of tree', '{"version":1,"kind":"key","hashed":"tail","bits":9,"records":1,"bytes":9,"firsts":[]}'],
  ['not ascending', '{"version":1,"kind":"rowid","segments":3,"ends":["500","400"]}'],
  ['repeated', '{"version":1,"kind":"rowid","segments":3,"ends":["500","500"]}'],
  ['beyond 64 bits', '{"version":1,"kind":"rowid","segments":2,"ends":["9999999999999999999"]}'],
  ['no numbers', '{"version":1,"kind":"rowid","segments":2,"ends":["0x5"]}'],
  ['contradictory', '{"version":1,"kind":"rowid","segments":7,"ends":["500"]}'],
])('cuts that are %s are not used', (_, cuts) => {
  expect(readRowidCuts(cuts)).toBeUndefined();
});

test.each([
  ['of another kind of tree', '{"version":1,"kind":"rowid","segments":0,"ends":[]}'],
  ['of a newer version', '{"version":2,"kind":"key","hashed":"tail","bits":9,"records":1,"bytes":9,"firsts":[]}'],
  [
    'without a hash that makes cuts',
    '{"version":1,"kind":"key","hashed":"tail","bits":0,"records":1,"bytes":9,"firsts":[]}',
  ],
  [
    'of more bits than a mask has',
    '{"version":1,"kind":"key","hashed":"tail","bits":40,"records":1,"bytes":9,"firsts":[]}',
  ],
  ['without numbers', '{"version":1,"kind":"key","hashed":"tail","bits":9,"records":-1,"bytes":9,"firsts":[]}'],
])('cuts of a key tree that are %s are not used', (_, cuts) => {
  expect(readKeyCuts(cuts, 'tail')).toBeUndefined();
});
