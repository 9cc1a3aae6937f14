import * as v from 'valibot';
import {expect, test} from 'vitest';
import {
  faultOfLayers,
  type Layer,
  layersSchema,
  storedBaseOf,
  streamsOf,
  withStreams,
} from '../../../src/collections/stored/layers.ts';
import type {BackupName} from '../../../src/collections/stored/names.ts';

const backup = '20261126120000Z_full' as BackupName;
const own = {name: 't', kind: 'rowid', records: 5, data: {stream: 0, segments: 1}, cuts: 1} as const;
const index = {name: 'i', kind: 'key', records: 5, data: {stream: 2, segments: 1}, cuts: 3} as const;
const records = {kind: 'base', form: 'records', backup, rows: 5, trees: [own, index]} as const;
const rows = {kind: 'base', backup, rows: 5, data: {stream: 0, segments: 9, wide: {'3': 2}}, cuts: 1} as const;
const segments = (stream: number) => ({stream, segments: 1});
const delta = {kind: 'delta', backup, keys: 3, rows: 2, keyData: segments(4), rowData: segments(5)} as const;

/** What a reader says to layers of table `t`, undefined if it accepts them. */
function refused(layers: unknown): string | undefined {
  const {issues, output} = v.safeParse(layersSchema, layers);
  return issues?.[0]?.message ?? faultOfLayers('t', output as readonly Layer[]);
}

test.each<[string, unknown]>([
  ['rows', [rows]],
  ['records', [records]],
  ['records of a table without rowid', [{...records, trees: [{...own, kind: 'key'}]}]],
  ['records without indexes, and deltas', [{...records, trees: [own]}, delta, delta]],
  ['an index with the empty name', [{...records, trees: [own, {...index, name: ''}]}]],
  ['rows that are called so, with members of a later version', [{...rows, form: 'rows', later: true}]],
])('a reader accepts %s', (_, layers) => {
  expect(refused(layers)).toBeUndefined();
});

test.each<[string, unknown]>([
  ['a form that it does not know', [{...records, form: 'pages'}]],
  ['records without the form', [{...records, form: undefined}]],
  ['rows in the form of records', [{...rows, form: 'records'}]],
  ['no tree', [{...records, trees: []}]],
  ['a tree twice', [{...records, trees: [own, index, index]}]],
  ["an index before the table's own tree", [{...records, trees: [index, own]}]],
  ['the tree of another table', [{...records, trees: [{...own, name: 'u'}, index]}]],
  ['two trees with rowids', [{...records, trees: [own, {...index, kind: 'rowid'}]}]],
  ['a kind of tree that it does not know', [{...records, trees: [{...own, kind: 'hash'}]}]],
  ['more rows than records', [{...records, rows: 6}]],
  ['half a record', [{...records, rows: 0.5, trees: [{...own, records: 0.5}]}]],
  ['a tree whose name is no text', [{...records, trees: [own, {...index, name: 5}]}]],
  ['a tree without data', [{...records, trees: [{...own, data: undefined}]}]],
  ['a tree without cuts', [{...records, trees: [{...own, cuts: undefined}]}]],
  ['two bases', [rows, records]],
  ['records after a delta', [delta, records]],
])('a reader refuses %s', (_, layers) => {
  expect(refused(layers)).toEqual(expect.any(String));
});

test('every stream of a layer is named and moves with it', () => {
  for (const [layer, streams] of [
    [rows, [0, 1]],
    [records, [0, 1, 2, 3]],
    [delta, [4, 5]],
  ] as const) {
    expect(streamsOf(layer)).toEqual(streams);
    const moved = withStreams(layer, (stream) => stream + 10);
    expect(streamsOf(moved)).toEqual(streams.map((stream) => stream + 10));
    expect(withStreams(moved, (stream) => stream - 10)).toEqual(layer);
  }
});

test('a stored base names its trees and counts the keys that changed after it', () => {
  const withFingerprint = {...records, trees: [own, {...index, fingerprint: 'f'}]};
  expect(storedBaseOf([withFingerprint, delta, delta])).toEqual({
    trees: [
      {name: 't', kind: 'rowid', records: 5},
      {name: 'i', kind: 'key', fingerprint: 'f', records: 5},
    ],
    changedKeys: 6,
  });
  expect(storedBaseOf([rows, delta])).toBeUndefined();
});
