import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {createCollection, planRestore} from '../../src/collections/index.ts';
import {openSource} from '../../src/sources/index.ts';
import {type Store, wrapStore} from '../../src/stores/index.ts';
import {inProcess} from '../helpers/in-process.ts';

// One table of many: a restore reads what the table has in the store, and little else.

/** Of the bytes that the table has in the store. */
const mostRead = 1.1;
const tables = 100;
const rowsEach = 20_000;

/** Counts everything that is read: packs, indexes, manifest, definition. */
function counting(store: Store, count: (bytes: number) => void): Store {
  return wrapStore(store, {
    get: async (key, range) => {
      const bytes = await store.get(key, range);
      count(bytes.byteLength);
      return bytes;
    },
  });
}

test.each(['one after the other', 'in turns'])('of tables written %s, one hundredth is read alone', async (order) => {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-one-table-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  const database = join(folder, 'app.db');
  let read = 0;
  const bench = inProcess({
    cluster: join(folder, 'cluster'),
    database,
    store: (store) => counting(store, (bytes) => (read += bytes)),
  });
  const db = new DatabaseSync(database);
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
  for (let table = 0; table < tables; table++) {
    db.exec(
      `CREATE TABLE t${table} (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); CREATE INDEX i${table} ON t${table} (b)`,
    );
  }
  const fill = (table: number, from: number, to: number) =>
    db.exec(`WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
      INSERT INTO t${table} SELECT i, hex(randomblob(30)), abs(random()) FROM n`);
  const steps = order === 'in turns' ? 4 : 1;
  for (let step = 0; step < steps; step++) {
    for (let table = 0; table < tables; table++) {
      fill(table, (step * rowsEach) / steps + 1, ((step + 1) * rowsEach) / steps);
    }
  }
  db.close();
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {name: 'c', members: {kind: 'database'}, settings: [], ifNotExists: false},
    ),
  );
  await bench.backup('c', 'full');
  const target = join(folder, 'one.db');
  const source = await openSource({scheme: 'sqlite', path: target});
  const {details} = await bench.vault((vault) =>
    planRestore(vault, source, {collection: 'c', tables: [{name: 't42'}]}, {details: true}),
  );
  read = 0;
  await bench.restore('c', target, undefined, [{name: 't42'}]);
  expect(read / details!.fetchBytes, `${read} bytes read`).toBeLessThanOrEqual(mostRead);
  expect(read).toBeGreaterThan(0);
});
