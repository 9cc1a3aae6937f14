import {expect, test} from 'vitest';
import {adoptValue, isAdopting} from '../../../src/app/statements/settings.ts';

const adopt = (value: string) => ({key: 'ADOPT', value});

test('ADOPT is the only setting of BACKUP and accepts only its values', () => {
  expect(isAdopting([])).toBe(false);
  expect(isAdopting([adopt('TRUE')])).toBe(true);
  expect(isAdopting([adopt('false')])).toBe(false);
  expect(() => isAdopting([adopt('maybe')])).toThrow(expect.objectContaining({code: 'BAD_REQUEST'}));
  for (const settings of [[{key: 'LEVEL', value: 'x'}], [adopt('true'), {key: 'LEVEL', value: 'x'}]]) {
    expect(() => isAdopting(settings)).toThrow(expect.objectContaining({message: 'LEVEL is not a setting of BACKUP'}));
  }
  expect(adoptValue([adopt('one-two-three')], 'BACKUP DATABASE', 'x')).toBe('one-two-three');
});
