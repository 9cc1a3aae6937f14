import {expect, test} from 'vitest';
import {widthOf} from '../../src/lib/text.ts';
import {shorten, wrap} from '../../src/lib/wrap.ts';
import {padTo} from '../../src/ui/text.ts';
import fc from '../seeds/fast-check.ts';

test('padding counts terminal columns, not characters', () => {
  expect(padTo('注', 4)).toBe('注  ');
  expect(padTo('long', 2)).toBe('long');
});

test('shortened text ends with an ellipsis', () => {
  expect(shorten('BACKUP shop', 11)).toBe('BACKUP shop');
  expect(shorten('BACKUP shop', 8)).toBe('BACKUP …');
  expect(shorten('注文注文', 4)).toBe('注…');
  expect(shorten('abc', 1)).toBe('a');
});

const graphemes = (text: string) => [...new Intl.Segmenter().segment(text)].length;

test('wrapping keeps all words in order, and no line is too wide', () => {
  const text = fc.array(
    fc.string({unit: 'grapheme', minLength: 1, maxLength: 12}).filter((word) => !/\s/.test(word)),
    {minLength: 1},
  );
  fc.assert(
    fc.property(text, fc.integer({min: 2, max: 30}), (words, width) => {
      const lines = wrap(words.join(' '), width);
      expect(lines.join('').replace(/\s/g, '')).toBe(words.join(''));
      // A single character may be wider than two columns (musical notes); it cannot be broken.
      for (const line of lines) expect(widthOf(line) <= width || graphemes(line) === 1).toBe(true);
    }),
  );
});

test('a character wider than the line gets a line of its own', () => {
  expect(wrap('注文', 1)).toEqual(['注', '文']);
});
