import {expect, test} from 'vitest';
import {printable, printableLines, widthOf} from '../../src/lib/text.ts';

test.each([
  ['plain', 5],
  ['注文', 4],
  ['e\u0301', 1],
  ['👨‍👩‍👧', 2],
  ['', 0],
])('%j is %d columns wide', (text, width) => {
  expect(widthOf(text)).toBe(width);
});

test('printable escapes what a terminal would obey, and nothing else', () => {
  expect(printable('Größe 注文 👍🏽 é')).toBe('Größe 注文 👍🏽 é');
  expect(printable('a\tb\u0007\u2028\ud800')).toBe('a\\tb\\x07\\u2028\\ud800');
});

test('printableLines keeps line feeds and tabs', () => {
  expect(printableLines('what\n\tcause\u001b[2J\u202e\r')).toBe('what\n\tcause\\x1b[2J\\u202e\\r');
});
