import {describe, expect, test} from 'vitest';
import {piecesOf} from '../../src/collections/backup/write-base.ts';
import {placeWith} from '../collections/restore/place.ts';

// Where a base was cut is known by keys. Keys of megabytes, or very many of them, do not fit into one chunk.

const mebi = 1024 * 1024;
const digest = 'SELECT count(*), sum(length(k)), group_concat(substr(k, -3)) FROM (SELECT k FROM t ORDER BY k)';

describe('keys of megabytes', () => {
  test.each([
    ['whose cuts are more than one chunk', 4, 5],
    ['whose cuts are left out', 9, 4],
  ])('%s come back from full backups and an increment', async (_, count, mebibytes) => {
    const place = await placeWith(
      `CREATE TABLE t (k TEXT PRIMARY KEY, v); WITH RECURSIVE n (i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n
       WHERE i < ${99 + count}) INSERT INTO t SELECT printf('%.*c', ${mebibytes * mebi}, 'x') || i, i FROM n`,
      {incremental: true},
    );
    await place.bench.backup('c', 'full');
    await place.bench.backup('c', 'full');
    place.exec(`UPDATE t SET v = 1 WHERE v = 100; DELETE FROM t WHERE v = 101`);
    await place.bench.backup('c', 'incremental');
    await place.bench.restore('c', place.path('new.db'));
    expect(place.all(digest, 'new.db')).toEqual(place.all(digest));
    expect(place.all('SELECT v FROM t ORDER BY k', 'new.db')).toEqual(place.all('SELECT v FROM t ORDER BY k'));
  });
});

test('bytes are divided into as few pieces as possible, and none is empty but that of nothing', () => {
  const sizes = (length: number) => piecesOf(new Uint8Array(length), 10).map(({bytes}) => bytes.length);
  expect([0, 1, 10, 11, 20, 25].map(sizes)).toEqual([[0], [1], [10], [10, 1], [10, 10], [10, 10, 5]]);
});
