import fc from 'fast-check';
import {expect, test} from 'vitest';
import {padTo, printable, shorten, widthOf, wrap} from '../../src/ui/text.ts';

test.each([
  ['plain', 5],
  ['注文', 4],
  ['e\u0301', 1],
  ['👨‍👩‍👧', 2],
  ['', 0],
])('%j is %d columns wide', (text, width) => {
  expect(widthOf(text)).toBe(width);
});

test('what a terminal would obey becomes visible, everything else stays', () => {
  expect(printable('Größe 注文 👍🏽 é')).toBe('Größe 注文 👍🏽 é');
  expect(printable('a\tb\u0007\u2028\ud800')).toBe('a\\tb\\x07\\u2028\\ud800');
});

test('padding counts columns, not characters', () => {
  expect(padTo('注', 4)).toBe('注  ');
  expect(padTo('long', 2)).toBe('long');
});

test('what is cut shows that it was cut', () => {
  expect(shorten('BACKUP shop', 11)).toBe('BACKUP shop');
  expect(shorten('BACKUP shop', 8)).toBe('BACKUP …');
  expect(shorten('注文注文', 4)).toBe('注…');
  expect(shorten('abc', 1)).toBe('a');
});

const graphemes = (text: string) => [...new Intl.Segmenter().segment(text)].length;

test('wrapping keeps every word and its order, and no line is too wide', () => {
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

test('a character wider than the line gets one of its own', () => {
  expect(wrap('注文', 1)).toEqual(['注', '文']);
});
