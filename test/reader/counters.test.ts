import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {createCollection} from '../../src/collections/index.ts';
import {inProcess} from '../helpers/in-process.ts';
import {imageOf} from '../helpers/sqlite-compare.ts';
import {folder, succeeds} from './run.ts';

test.each([
  ['none', 'DELETE FROM sqlite_sequence'],
  ['a higher one', 'UPDATE sqlite_sequence SET seq = 7'],
  ['one that is NULL', 'UPDATE sqlite_sequence SET seq = NULL'],
])('the counter of AUTOINCREMENT is that of the backup: %s', async (_, change) => {
  const at = folder();
  const database = join(at, 'app.db');
  const db = new DatabaseSync(database);
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1), (2); ${change}`);
  db.close();
  const cluster = join(at, 'cluster');
  const bench = inProcess({database, cluster});
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {name: 'c', members: {kind: 'tables', tables: ['t']}, settings: [], ifNotExists: false},
    ),
  );
  await bench.backup('c', 'full');
  const restored = join(at, 'restored.db');
  succeeds(cluster, 'c', '--to', restored);
  expect(imageOf(restored)).toEqual(imageOf(database));
});
