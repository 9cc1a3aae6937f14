import {expect, test} from 'vitest';
import {renderRows} from '../../src/ui/rows.ts';

test('pretty: columns are aligned, numbers stand on the right, no line ends in spaces', () => {
  const rows = [
    ['shop', 3, null],
    ['注文', 1_000_000, 'x'],
  ] as const;
  expect(renderRows(['name', 'rows', 'note'], rows, 'pretty')).toBe(`\
name     rows  note
shop        3  NULL
注文  1000000  x
`);
});

test('pretty: the header is there without rows, and a value cannot break a line', () => {
  expect(renderRows(['a', 'b'], [], 'pretty')).toBe('a  b\n');
  expect(renderRows(['a'], [['x\ny\u001b']], 'pretty')).toBe('a\nx\\ny\\x1b\n');
  expect(renderRows([], [], 'pretty')).toBe('');
});

test('json: an object a line; an integer that a double cannot hold stays exact as text', () => {
  const rows = [
    ['fullbackup/1', 2n, true],
    [null, 9_007_199_254_740_993n, false],
  ] as const;
  expect(renderRows(['operation_id', 'n', 'ok'], rows, 'json')).toBe(
    '{"operation_id":"fullbackup/1","n":2,"ok":true}\n{"operation_id":null,"n":"9007199254740993","ok":false}\n',
  );
});
