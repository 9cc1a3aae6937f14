import {expect, test} from 'vitest';
import type {Changes} from '../../../src/sources/index.ts';
import {deltaSize, type Layer, takeIncrement} from '../layers.ts';
import {Database, expectComesBack, full, increment, owner} from './database.ts';

const MiB = 1024 * 1024;

function sizes(layer: Layer | undefined): number[] {
  return layer?.kind === 'delta' ? layer.rows.map(({bytes}) => bytes.byteLength) : [];
}

test('segments keep their size limit when deleted keys precede keys with wide rows', async () => {
  const database = new Database(
    `CREATE TABLE t (k INTEGER PRIMARY KEY, a);
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO t SELECT i, i FROM n`,
  );
  const base = await full(database, ['t']);
  database.exec('DELETE FROM t WHERE k < 3000; UPDATE t SET a = zeroblob(10000) WHERE k > 4000');
  const delta = await increment(database, base);
  expect(deltaSize(delta, 't')).toEqual({keys: 4999, rows: 2000});
  for (const size of sizes(delta.layers.t!.at(-1))) expect(size).toBeLessThanOrEqual(4 * MiB);
  await expectComesBack(database, delta);
});

test('a NULL key can have more rows than fit into one segment', async () => {
  const database = new Database(
    `CREATE TABLE t (k TEXT PRIMARY KEY, a);
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO t
       SELECT NULL, zeroblob(9000) FROM n;
     INSERT INTO t VALUES ('x', 1), ('y', 2)`,
  );
  const base = await full(database, ['t']);
  database.exec(
    `DELETE FROM t WHERE rowid % 5 = 0; INSERT INTO t VALUES ('z', 3); UPDATE t SET a = a + 1 WHERE k = 'x'`,
  );
  const delta = await increment(database, base);
  expect(deltaSize(delta, 't')).toEqual({keys: 3, rows: 962});
  for (const size of sizes(delta.layers.t!.at(-1))) expect(size).toBeLessThanOrEqual(4 * MiB);
  await expectComesBack(database, delta);
});

test('the changes of two tables can be read alternately', async () => {
  const database = new Database(
    'CREATE TABLE a (k INTEGER PRIMARY KEY, v); CREATE TABLE b (k TEXT PRIMARY KEY, v); CREATE ' +
      'TABLE "a""\'b" (k, l, PRIMARY KEY (k, l))',
  );
  const names = ['a', 'b', `a"'b`];
  const base = await full(database, names);
  database.exec(
    `INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES ('x', 1); INSERT INTO "a""'b" ` +
      'VALUES (1, NULL), (NULL, 2), (3, 4)',
  );
  const snapshot = await database.source.snapshot({
    tables: names,
    track: {owner},
    since: {
      owner,
      mark: base.mark!,
      fingerprints: Object.fromEntries(base.schemas.map((schema) => [schema.name, schema.fingerprint])),
    },
  });
  const deltas = await Promise.all(
    names.map(async (name) => ((await snapshot.changes(name, base.mark!)) as Changes).read()),
  );
  const count = async (segments: AsyncIterable<{rows: number}>) => {
    let rows = 0;
    for await (const segment of segments) rows += segment.rows;
    return rows;
  };
  const counts: number[] = [];
  for (const {keys} of deltas) counts.push(await count(keys));
  for (const {rows} of deltas) counts.push(await count(rows));
  await snapshot.close();
  expect(counts).toEqual([2, 1, 3, 2, 1, 3]);
});

test("each table's delta contains exactly its own changes", async () => {
  const database = new Database('CREATE TABLE a (k INTEGER PRIMARY KEY, v); CREATE TABLE b (k INTEGER PRIMARY KEY, v)');
  const base = await full(database, ['a', 'b']);
  database.exec('INSERT INTO a VALUES (1, 1), (2, 2)');
  const first = await takeIncrement(database.source, owner, base);
  expect([deltaSize(first, 'a'), first.layers.b!.length]).toEqual([{keys: 2, rows: 2}, 1]);
  database.exec('UPDATE a SET v = 3 WHERE k = 2; INSERT INTO b VALUES (2, 2)');
  const second = await takeIncrement(database.source, owner, first);
  expect([deltaSize(second, 'a'), deltaSize(second, 'b')]).toEqual([
    {keys: 1, rows: 1},
    {keys: 1, rows: 1},
  ]);
  await expectComesBack(database, second);
});
