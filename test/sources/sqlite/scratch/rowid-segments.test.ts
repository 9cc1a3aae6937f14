import {expect, test} from 'vitest';
import type {KeyCondition} from '../../../../src/sources/index.ts';
import {rowidCuts} from '../../../../src/sources/sqlite/pages/cuts.ts';
import type {Table} from '../../../../src/sources/sqlite/schema/table.ts';
import {intervalsWhere, rowidSegments} from '../../../../src/sources/sqlite/scratch/rowid-segments.ts';

const table: Table = {
  ...{name: 't', sql: '', withoutRowid: false, strict: false, autoincrement: false},
  ...{uniques: [], indexes: [], triggers: []},
  columns: [
    {name: 'ID', type: 'INTEGER', generated: false, recorded: true, collation: 'BINARY', computedDefault: false},
  ],
  key: {kind: 'rowid', alias: 'rowid', column: 'ID'},
};

const term = (operator: KeyCondition['operator'], ...values: (bigint | string)[]): KeyCondition => ({
  column: 'id',
  operator,
  values: values.map((value) => (typeof value === 'bigint' ? {kind: 'integer', value} : {kind: 'text', value})),
});

const ends = [-5n, 0n, 1n, 7n];
const segments = rowidSegments(rowidCuts({segments: 5, ends}), 5)!;
const all = [-(2n ** 63n), -6n, -5n, -4n, -1n, 0n, 1n, 2n, 6n, 7n, 8n, 2n ** 63n - 1n];
/** The segment whose range has the rowid. */
const home = (rowid: bigint) => ends.filter((end) => end < rowid).length;

const holds: Readonly<Record<KeyCondition['operator'], (rowid: bigint, value: bigint) => boolean>> = {
  '=': (rowid, value) => rowid === value,
  '<': (rowid, value) => rowid < value,
  '<=': (rowid, value) => rowid <= value,
  '>': (rowid, value) => rowid > value,
  '>=': (rowid, value) => rowid >= value,
};

test('exactly the segments that can hold a wanted rowid are chosen', () => {
  const operators = Object.keys(holds) as KeyCondition['operator'][];
  for (const first of operators) {
    for (const second of operators) {
      for (const one of all) {
        for (const other of all) {
          const chosen = segments.within(intervalsWhere(table, [term(first, one), term(second, other)])!);
          const wanted = all.filter((rowid) => holds[first](rowid, one) && holds[second](rowid, other)).map(home);
          for (const at of wanted) expect(chosen, `${first} ${one}, ${second} ${other}`).toContain(at);
          const isPoint = first === '=' || second === '=';
          if (isPoint) expect(new Set(chosen)).toEqual(new Set(wanted));
        }
      }
    }
  }
});

test('a list of values chooses the segment of each, and what is no whole number limits nothing', () => {
  expect(segments.within(intervalsWhere(table, [term('=', 1n, 100n, -5n)])!)).toEqual([0, 2, 4]);
  expect(intervalsWhere(table, [term('=', '1')])).toBeUndefined();
  expect(intervalsWhere(table, [term('=', 1n, '2')])).toBeUndefined();
  expect(intervalsWhere(table, [{...term('=', 1n), column: 'note'}])).toBeUndefined();
  expect(intervalsWhere(table, [{...term('=', 1n), column: 'OID'}])).toEqual([{from: 1n, to: 1n}]);
});

test('cuts that do not fit the segments are not relied on', () => {
  expect(rowidSegments(rowidCuts({segments: 5, ends}), 4)).toBeUndefined();
  expect(rowidSegments('{"version":2}', 5)).toBeUndefined();
});

test('the last range may have no segment', () => {
  const four = rowidSegments(rowidCuts({segments: 4, ends}), 4)!;
  expect(four.within(intervalsWhere(table, [term('=', 8n)])!)).toEqual([]);
  expect(four.within(intervalsWhere(table, [term('>=', 7n)])!)).toEqual([3]);
});
