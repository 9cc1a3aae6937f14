import {expect, test} from 'vitest';
import {renderRows} from '../../src/ui/rows.ts';

test('pretty aligns columns, numbers to the right, and no line ends in spaces', () => {
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

test('pretty prints the header without rows, and a value cannot break a line', () => {
  expect(renderRows(['a', 'b'], [], 'pretty')).toBe('a  b\n');
  expect(renderRows(['a'], [['x\ny\u001b']], 'pretty')).toBe('a\nx\\ny\\x1b\n');
  expect(renderRows([], [], 'pretty')).toBe('');
});

test('json prints one object per line, and integers beyond a double as exact text', () => {
  const rows = [
    ['fullbackup/1', 2n, true],
    [null, 9_007_199_254_740_993n, false],
  ] as const;
  expect(renderRows(['operation_id', 'n', 'ok'], rows, 'json')).toBe(
    '{"operation_id":"fullbackup/1","n":2,"ok":true}\n{"operation_id":null,"n":"9007199254740993","ok":false}\n',
  );
});

test('json has every number: infinite ones as text, and the zero with a sign', () => {
  const [line] = renderRows(['a', 'b', 'c', 'd'], [[Infinity, -Infinity, -0, 0.1]], 'json').split('\n');
  expect(line).toBe('{"a":"Infinity","b":"-Infinity","c":-0.0,"d":0.1}');
  expect(renderRows(['a', 'b'], [[-Infinity, -0]], 'pretty')).toBe('        a     b\n-Infinity  -0.0\n');
});

test('one long value does not make every row as wide as itself', () => {
  const rows = Array.from({length: 20_000}, (_, at) => [at === 7 ? 'x'.repeat(1_000_000) : 'y', at]);
  const text = renderRows(['a', 'b'], rows, 'pretty');
  expect(text.length).toBeLessThan(70 * 2 ** 20);
  expect(text).toContain(`\n${'x'.repeat(1_000_000)}      7\n`);
});

test('there may be more rows than a function call has arguments', () => {
  expect(renderRows(['a'], Array(300_000).fill([1]), 'pretty')).toHaveLength(600_002);
});

test('on a narrow terminal spare columns are left out one by one, then the last text wraps', () => {
  const columns = ['name', 'kind', 'rows', 'why'];
  const rows = [
    ['20261121120000Z_full', 'full', 12, 'the newest of its day and the oldest of its week'],
    ['20261120120000Z_full', 'full', 9, 'short'],
  ] as const;
  const at = (terminalColumns: number) => renderRows(columns, rows, 'pretty', {terminalColumns, spare: [1]});
  expect(at(82)).toBe(renderRows(columns, rows, 'pretty'));
  expect(at(76)).not.toContain('kind');
  expect(at(50)).toBe(`\
name                  rows  why
20261121120000Z_full    12  the newest of its day
                            and the oldest of its
                            week
20261120120000Z_full     9  short
`);
  // One word a line would be no help.
  expect(at(30)).toContain('20261121120000Z_full    12\n  why: the newest of its day\n');
});

test('on a narrow terminal texts at the end without room get lines of their own, below their row', () => {
  const columns = ['collection', 'backups', 'tables', 'settings'];
  const rows = [
    ['shop', 12, 'orders, customers', "STORAGE='cluster', KEEP_LAST='7'"],
    ['all', 3, 'DATABASE', null],
  ] as const;
  const at = (terminalColumns: number) => renderRows(columns, rows, 'pretty', {terminalColumns});
  expect(at(40)).toBe(`\
collection  backups  tables
shop             12  orders, customers
  settings: STORAGE='cluster',
  KEEP_LAST='7'
all               3  DATABASE
`);
  expect(at(30)).toBe(`\
collection  backups
shop             12
  tables: orders, customers
  settings: STORAGE='cluster',
  KEEP_LAST='7'
all               3
  tables: DATABASE
`);
});

test('on a narrow terminal a single row that does not fit has a line for each column', () => {
  const columns = ['backup', 'product', 'files', 'in_the_way'];
  const row = ['2026-11-28T18:56:06.584000Z', 'questdb 9.3.4', 46, 'the folder is not empty'];
  const at = (terminalColumns: number, rows = [row]) => renderRows(columns, rows, 'pretty', {terminalColumns});
  expect(at(30, [[...row.slice(0, 3), 7]])).toBe(`\
backup      2026-11-28T18:56:0
            6.584000Z
product     questdb 9.3.4
files       46
in_the_way  7
`);
  expect(at(120).split('\n')).toHaveLength(3);
});
