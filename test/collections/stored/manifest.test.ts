import {expect, test} from 'vitest';
import {type BackupBody, toManifest} from '../../../src/collections/stored/manifest.ts';
import type {BackupName} from '../../../src/collections/stored/names.ts';
import type {Recipe} from '../../../src/vault/index.ts';

// A manifest that a reader would refuse is not written: the backup fails, and none appears that cannot be restored.

const backup = '20261126120000Z_full' as BackupName;
const segments = {stream: 0, segments: 1};
const body: BackupBody = {
  version: 1,
  collection: {id: 'c'.repeat(32), name: 'shop'},
  backup,
  type: 'full',
  chain: backup,
  parent: undefined,
  takenAt: '2026-11-26T12:00:00.000Z',
  source: {description: 'app.db', database: {product: 'sqlite'} as unknown as BackupBody['source']['database']},
  tables: [
    {
      schema: {name: 't', fingerprint: 'f', definition: {}},
      layers: [{kind: 'base', backup, rows: 1, data: segments, cuts: 1}],
    },
  ],
  cost: {rows: 1, deletedRows: 0, logicalBytes: 5, storedBytes: 5},
};
const [table] = body.tables;
const recipe: Recipe = {sizeBytes: 5, depth: 0, chunks: []} as unknown as Recipe;
const streams = [recipe, recipe];

test('a manifest that readers accept is written, without members that are undefined', () => {
  const written = toManifest(body, streams).body;
  expect(written).toEqual(body);
  expect(written).not.toHaveProperty('parent');
});

test.each<[string, Partial<BackupBody>]>([
  ['no table', {tables: []}],
  ['a table twice', {tables: [table!, table!]}],
  ['a time that is none', {takenAt: 'now'}],
  ['rows that are not a number', {cost: {...body.cost, rows: Number.NaN}}],
  ['a stream that is not there', {tables: [{...table!, layers: [{...table!.layers[0]!, cuts: 5} as never]}]}],
  ['another type than the name says', {type: 'incremental'}],
])('a manifest with %s is not written', (_, change) => {
  expect(() => toManifest({...body, ...change}, streams)).toThrow(
    expect.objectContaining({code: 'INTERNAL', message: expect.stringContaining('could not be read again')}),
  );
});
