import {expect, test} from 'vitest';
import {type DatabaseBackupBody, toDatabaseManifest} from '../../../src/database/stored/manifest.ts';
import type {DatabaseBackupName} from '../../../src/database/stored/names.ts';
import type {Recipe} from '../../../src/vault/index.ts';

// As with collections: a manifest that a reader would refuse is not written.

const body: DatabaseBackupBody = {
  version: 1,
  instance: 'gentle-forest-orchid',
  backup: '20261126T120000.000000Z' as DatabaseBackupName,
  takenAtMicros: 1,
  finishedAtMicros: 2,
  source: {description: 'app.db', dataId: 'd'},
  database: {product: 'sqlite', version: '3.53', tables: [{name: '', rows: 1}]},
  files: 1,
  bytes: 5,
  zeroBytes: 0,
  sourceDamage: undefined,
  cost: {filesRead: 1, bytesRead: 5, storedBytes: 5, heldMicros: 1},
};
const data = {sizeBytes: 5, depth: 0, chunks: []} as unknown as Recipe;

test('a manifest that readers accept is written, without members that are undefined', () => {
  const written = toDatabaseManifest({body, data, list: data});
  expect(written.body).toEqual(body);
  expect(written.body).not.toHaveProperty('sourceDamage');
  expect(written.streams).toEqual([data, data]);
});

test.each<[string, Partial<DatabaseBackupBody>]>([
  ['a name that is none', {backup: 'now' as DatabaseBackupName}],
  ['bytes that are not a number', {bytes: Number.NaN}],
  ['a time before 1970', {takenAtMicros: -1}],
  ['half a row', {database: {...body.database, tables: [{name: 't', rows: 0.5}]}}],
])('a manifest with %s is not written', (_, change) => {
  expect(() => toDatabaseManifest({body: {...body, ...change}, data, list: data})).toThrow(
    expect.objectContaining({code: 'INTERNAL', message: expect.stringContaining('could not be read again')}),
  );
});
