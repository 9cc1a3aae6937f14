import {expect, test} from 'vitest';
import type {KeyCondition} from '../../../../src/sources/index.ts';
import {requireTable} from '../../../../src/sources/sqlite/catalog/catalog.ts';
import {Connection, type Value} from '../../../../src/sources/sqlite/engine/connection.ts';
import {boundaryColumns, boundaryOf} from '../../../../src/sources/sqlite/rows/boundary.ts';
import {KeySegments, ownKeyTree} from '../../../../src/sources/sqlite/scratch/key-segments.ts';
import fc from '../../../seeds/fast-check.ts';

const runs = 300 * Number(process.env.BKP_TEST_RUNS ?? 1);

const value = fc.oneof(
  {weight: 3, arbitrary: fc.bigInt({min: 0n, max: 6n})},
  {weight: 4, arbitrary: fc.constantFrom('a', 'A', 'b', 'B', 'ab')},
  fc.constantFrom<Value>(0.5, -2.5, 3, 1e300, Number.POSITIVE_INFINITY, 'b ', '5', '10', '', 'ä', new Uint8Array([1])),
);
const literal = fc.oneof(
  fc.bigInt({min: 0n, max: 6n}).map((of) => ({kind: 'integer' as const, value: of})),
  fc.constantFrom('a', 'A', 'b', 'B', 'ab', '5', '').map((of) => ({kind: 'text' as const, value: of})),
);
const condition = fc.record({
  column: fc.constantFrom('k', 'k', 'K', 'l', 'v'),
  operator: fc.constantFrom('=', '<', '<=', '>', '>=') as fc.Arbitrary<KeyCondition['operator']>,
  values: fc.array(literal, {minLength: 1, maxLength: 2}),
});

test('the segments of a key tree that are named hold every row for which the conditions hold', () => {
  const narrowed = {ascending: 0, descending: 0};
  fc.assert(
    fc.property(
      fc.constantFrom('', 'INT', 'TEXT', 'REAL', 'TEXT COLLATE NOCASE', 'TEXT COLLATE RTRIM', 'COLLATE NOCASE'),
      fc.constantFrom('', 'INT', 'TEXT'),
      fc.constantFrom(
        ...['k, l', 'l, k', 'k', 'k COLLATE BINARY, l'],
        ...['k DESC', 'k DESC, l', 'k, l DESC', 'l DESC, k DESC', 'k COLLATE NOCASE DESC, l'],
      ),
      fc.array(fc.tuple(value, value), {minLength: 2, maxLength: 40}),
      fc.array(fc.nat(9), {minLength: 40, maxLength: 40}),
      fc.array(
        condition.map((one) => (one.operator === '=' ? one : {...one, values: one.values.slice(0, 1)})),
        {minLength: 1, maxLength: 2},
      ),
      (k, l, key, rows, cutAt, conditions) => {
        const connection = new Connection('test', {memory: true});
        try {
          connection.exec(`CREATE TABLE t (k ${k}, l ${l}, v, PRIMARY KEY (${key})) WITHOUT ROWID`);
          for (const [one, other] of rows) {
            connection.run('INSERT OR IGNORE INTO t VALUES (?, ?, 0)', one as Value, other as Value);
          }
          const table = requireTable(connection, 't');
          const names = ownKeyTree(connection, table)!.columns.map(({name}) => name);
          const found = connection.all(
            `SELECT rowid AS n, ${boundaryColumns(names)} FROM (SELECT *, 0 AS rowid FROM t)`,
          );
          // The order of the tree: rows are cut into segments by chance, and some first keys are not known.
          let segment = -1;
          const keys: unknown[] = [];
          const segmentOf = found.map((row, at) => {
            if (at === 0 || cutAt[at % cutAt.length]! < 4) {
              segment++;
              keys.push(cutAt[(at + 7) % cutAt.length] === 9 ? null : boundaryOf(row));
            }
            return segment;
          });
          const cuts = JSON.stringify({
            ...{version: 1, kind: 'key', hashed: 'head', bits: 1, records: found.length, bytes: 1},
            ...{firsts: keys.map(() => '0'.repeat(16)), keys},
          });
          const tree = ownKeyTree(connection, table)!;
          const ranges = KeySegments.of(connection, {table, tree, cuts, segments: keys.length});
          expect(ranges).toBeDefined();
          const positions = ranges?.where(conditions);
          if (ranges === undefined || positions === undefined) return;
          if (positions.length < keys.length) narrowed[key.includes('DESC') ? 'descending' : 'ascending']++;
          const terms = conditions.map(({column, operator, values}) =>
            operator === '=' ? `t.${column} IN (${values.map(() => '?').join(', ')})` : `t.${column} ${operator} ?`,
          );
          const matching = connection.all(
            `SELECT ${boundaryColumns(names)} FROM t WHERE ${terms.join(' AND ')}`,
            ...conditions.flatMap(({values}) => values.map((one) => one.value)),
          );
          const at = new Map(found.map((row, n) => [JSON.stringify(boundaryOf(row)), segmentOf[n]!]));
          for (const row of matching) expect(positions).toContain(at.get(JSON.stringify(boundaryOf(row))));
          // Keys of a delta.
          connection.exec("ATTACH ':memory:' AS seg");
          const parts = names.map((_, n) => `k${n}`).join(', ');
          connection.exec(
            `CREATE TABLE seg.keys (${parts}); INSERT INTO seg.keys SELECT ${names.join(', ')} FROM t LIMIT 5`,
          );
          const wanted = ranges.of();
          if (wanted === undefined) return;
          for (const row of found.slice(0, 5)) expect(wanted).toContain(at.get(JSON.stringify(boundaryOf(row))));
        } finally {
          connection.close();
        }
      },
    ),
    {numRuns: runs},
  );
  expect(narrowed.ascending).toBeGreaterThan(runs / 40);
  expect(narrowed.descending).toBeGreaterThan(runs / 40);
});
