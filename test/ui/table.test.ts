import {stripVTControlCharacters} from 'node:util';
import {expect, test} from 'vitest';
import {widthOf} from '../../src/lib/text.ts';
import {renderTable} from '../../src/ui/table.ts';

const columns = ['id', 'ready', 'status', 'progress'];
const done = ['incbackup/12', 'true', 'SUCCESS', 'Done'];
const notes = ['Created by: root', 'Create time: 2025-12-26T13:05:24Z', 'End time: 2025-12-26T13:05:25Z'];

test('one row with notes looks like YDB’s', () => {
  expect(renderTable(columns, [{cells: done, notes}], {terminalColumns: undefined, colors: false})).toBe(`\
┌──────────────┬───────┬─────────┬──────────┐
│ id           │ ready │ status  │ progress │
├──────────────┼───────┼─────────┼──────────┤
│ incbackup/12 │ true  │ SUCCESS │ Done     │
├╴╴╴╴╴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴┴╴╴╴╴╴╴╴╴╴╴┤
│ Created by: root                          │
│ Create time: 2025-12-26T13:05:24Z         │
│ End time: 2025-12-26T13:05:25Z            │
└───────────────────────────────────────────┘
`);
});

test('the divider after notes opens the columns again; without notes they stay open to the bottom', () => {
  const rows = [{cells: ['a', 'b'], notes: ['n']}, {cells: ['c', 'd']}, {cells: ['e', 'f']}];
  expect(renderTable(['x', 'y'], rows, {terminalColumns: undefined, colors: false})).toBe(`\
┌───┬───┐
│ x │ y │
├───┼───┤
│ a │ b │
├╴╴╴┴╴╴╴┤
│ n     │
├───┬───┤
│ c │ d │
├───┼───┤
│ e │ f │
└───┴───┘
`);
});

test('wide characters count as two columns', () => {
  expect(
    renderTable(['名前'], [{cells: ['注文']}, {cells: ['a']}], {terminalColumns: undefined, colors: false}),
  ).toBe(`\
┌──────┐
│ 名前 │
├──────┤
│ 注文 │
├──────┤
│ a    │
└──────┘
`);
});

test('on a narrow terminal the widest column shrinks first, and its cells wrap', () => {
  const rows = [{cells: ['fullbackup/12', 'TransferData (12.34%)']}];
  expect(renderTable(['id', 'progress'], rows, {terminalColumns: 34, colors: false})).toBe(`\
┌───────────────┬────────────────┐
│ id            │ progress       │
├───────────────┼────────────────┤
│ fullbackup/12 │ TransferData   │
│               │ (12.34%)       │
└───────────────┴────────────────┘
`);
});

test('at 60 columns no line is longer than the terminal', () => {
  const rows = [
    {cells: ['fullbackup/1234567', 'false', 'PROGRESS', 'TransferData (12.34%)'], notes: ['x'.repeat(100)]},
  ];
  const lines = renderTable(columns, rows, {terminalColumns: 60, colors: false}).trimEnd().split('\n');
  expect(lines.map((line) => line.length)).toEqual(lines.map(() => 60));
  expect(lines.join('').match(/x/g)).toHaveLength(100);
});

test('where a box has no room for the words of its cells, each cell gets a line', () => {
  const rows = [
    {cells: done, colors: {2: 'green'} as const, notes},
    {cells: ['fullbackup/12345678901', ...done.slice(1)]},
  ];
  expect(renderTable(columns, rows, {terminalColumns: 20, colors: true})).toBe(`\
id: incbackup/12
ready: true
status: \u001b[32mSUCCESS\u001b[39m
progress: Done
Created by: root
Create time:
2025-12-26T13:05:24Z
End time:
2025-12-26T13:05:25Z

id:
fullbackup/123456789
01
ready: true
status: SUCCESS
progress: Done
`);
  // One column more than the words need.
  const room = 'incbackup/12'.length + 'ready'.length + 'SUCCESS'.length + 'progress'.length + 4 * 3 + 1;
  const at = (terminalColumns: number) => renderTable(columns, [{cells: done}], {terminalColumns, colors: false});
  expect(at(room)).toContain('│ incbackup/12 │ true  │ SUCCESS │ Done     │');
  expect(at(room - 1)).not.toContain('│');
});

test('a long note wraps under its start on a terminal, and is one line in a pipe', () => {
  const rows = [{cells: ['fullbackup/1'], notes: ['Issues: ', '  - no space left on the device']}];
  expect(renderTable(['id'], rows, {terminalColumns: 24, colors: false})).toContain(
    '│   - no space left on │\n│     the device       │',
  );
  expect(renderTable(['id'], rows, {terminalColumns: undefined, colors: false})).toContain(
    '│   - no space left on the device │\n',
  );
});

test('in a pipe the box encloses even a long note', () => {
  const rows = [{cells: done, notes: ['x'.repeat(300), '文'.repeat(100)]}, {cells: done}];
  const lines = renderTable(columns, rows, {terminalColumns: undefined, colors: false}).trimEnd().split('\n');
  expect(new Set(lines.map((line) => widthOf(line)))).toEqual(new Set([304]));
});

test('a name cannot move the cursor, forge a line or turn the text around', () => {
  const text = renderTable(['id'], [{cells: ['a\u001b[2Jb\nc\u202ed\u009be\0'], notes: ['x\r│ forged']}], {
    terminalColumns: undefined,
    colors: false,
  });
  expect(text).toContain('│ a\\x1b[2Jb\\nc\\u202ed\\x9be\\0 │');
  expect(text).toContain('│ x\\r│ forged');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is tested
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

test('colours enclose complete cells and do not change widths', () => {
  const rows = [{cells: ['1', 'ERROR'], colors: {1: 'red'}}] as const;
  const plain = renderTable(['id', 'status'], rows, {terminalColumns: undefined, colors: false});
  const colored = renderTable(['id', 'status'], rows, {terminalColumns: undefined, colors: true});
  expect(colored).toContain('│ 1  │\u001b[31m ERROR  \u001b[39m│');
  expect(stripVTControlCharacters(colored)).toBe(plain);
});

test('a note with a next step is not broken within a command that fits into the box', () => {
  const notes = ['  - the store is full', "    next:  free some, or RESTORE shop AT '-1 day' INTO './other.db'"];
  const text = renderTable(['id'], [{cells: ['x'], notes}], {terminalColumns: 60, colors: false});
  expect(text).toContain('│     next:  free some, or');
  expect(text).toContain("│            RESTORE shop AT '-1 day' INTO './other.db' ");
});
