import {expect, test} from 'vitest';
import {didYouMean} from '../../src/errors/index.ts';
import fc from '../seeds/fast-check.ts';

const words = ['BACKUP', 'CREATE', 'RESTORE', 'SET', 'RESET', 'IN'];

test.each([
  ['BAKCUP', 'BACKUP'],
  ['craete', 'CREATE'],
  ['RESTOR', 'RESTORE'],
  ['BACKUPP', 'BACKUP'],
  ['set', 'SET'],
  ['SAT', 'SET'],
  // Two typos in six letters are close enough, three are not.
  ['BCAKPU', 'BACKUP'],
  ['BXXXUP', undefined],
  ['x', undefined],
  ['', undefined],
  ['something else', undefined],
])('%s -> %s', (typed, meant) => {
  expect(didYouMean(typed, words)).toBe(meant);
});

test('the closest candidate wins, in any order', () => {
  expect(didYouMean('RESSET', ['SET', 'RESET'])).toBe('RESET');
  expect(didYouMean('RESSET', ['RESET', 'SET'])).toBe('RESET');
});

test('one typo in a word of three letters or more is always found', () => {
  const letters = fc.string({unit: fc.constantFrom(...'abcdef'), minLength: 3, maxLength: 12});
  fc.assert(
    fc.property(letters, fc.nat(), fc.constantFrom(...'xyz'), (word, at, letter) => {
      const place = at % word.length;
      expect(didYouMean(word.slice(0, place) + letter + word.slice(place + 1), [word])).toBe(word);
      expect(didYouMean(word.slice(0, place) + letter + word.slice(place), [word])).toBe(word);
    }),
  );
});
