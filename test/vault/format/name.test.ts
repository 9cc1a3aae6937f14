import {expect, test} from 'vitest';
import {isKey} from '../../../src/stores/index.ts';
import {encodeName} from '../../../src/vault/index.ts';
import fc from '../../seeds/fast-check.ts';

test.each([
  ['shop', 'shop'],
  ['Shop_2-b', 'Shop_2-b'],
  ['a/b', 'a%2Fb'],
  ['..', '%2E%2E'],
  ['.hidden', '%2Ehidden'],
  ['50%', '50%25'],
  ['a~b', 'a%7Eb'],
  ['tab\there', 'tab%09here'],
  ['größe', 'gr%C3%B6%C3%9Fe'],
  ['o\'brien "x"', 'o%27brien%20%22x%22'],
])('%j becomes %s in a key', (name, part) => {
  expect(encodeName(name)).toBe(part);
});

test('a long name is cut, and its hash distinguishes it from others', () => {
  const one = encodeName('x'.repeat(200));
  const two = encodeName(`${'x'.repeat(199)}y`);
  expect(one).toMatch(/^x{140}~[0-9a-f]{32}$/);
  expect(two).not.toBe(one);
  expect(encodeName('x'.repeat(180))).toBe('x'.repeat(180));
});

test('different names become different parts of keys', () => {
  const name = fc.string({unit: 'binary', minLength: 1, maxLength: 120}).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(name, name, (one, two) => {
      for (const part of [encodeName(one), encodeName(two)]) {
        expect(isKey(part) && !part.includes('/')).toBe(true);
        expect(part.length).toBeLessThanOrEqual(180);
      }
      expect(encodeName(one) === encodeName(two)).toBe(one === two);
    }),
    {numRuns: 200},
  );
});
