import {expect, test} from 'vitest';
import {appliedDeltas, Differences} from '../../../src/sources/postgres/segments/differences.ts';

const MiB = 2 ** 20;

/** One delta. Counts the segments that are taken. */
function deltasOf(segments: number, rowsOfSegment: number, rowBytes: number) {
  const taken = {keys: 0, rows: 0};
  async function* parts(of: 'keys' | 'rows') {
    for (let at = 0; at < segments; at++) {
      taken[of] += 1;
      const lines = Array.from({length: rowsOfSegment}, (_, row) => {
        const key = String(at * rowsOfSegment + row);
        return of === 'keys' ? `${key}\n` : `${key}\t${'x'.repeat(rowBytes)}\n`;
      });
      yield Buffer.from(lines.join(''));
    }
  }
  return {taken, deltas: [{keys: parts('keys'), rows: parts('rows')}]};
}

test('rows of earlier deltas that fit into memory are kept', async () => {
  const {deltas} = deltasOf(3, 10, MiB);
  const rows = await appliedDeltas(deltas, 1);
  expect(rows?.size).toBe(30);
  expect(rows?.get('29')?.length).toBe(3 + MiB);
});

test('rows of megabytes in earlier deltas are taken only until they are too many', async () => {
  const {taken, deltas} = deltasOf(50, 4, MiB);
  expect(await appliedDeltas(deltas, 1)).toBeUndefined();
  expect(taken).toEqual({keys: 50, rows: 8});
});

test('keys of earlier deltas are taken only until they are too many', async () => {
  const {taken, deltas} = deltasOf(50, 10_000, 1);
  expect(await appliedDeltas(deltas, 1)).toBeUndefined();
  expect(taken).toEqual({keys: 21, rows: 0});
});

test('a row that several deltas have counts once', async () => {
  const all = Array.from({length: 40}, () => deltasOf(1, 1, MiB).deltas[0]!);
  expect((await appliedDeltas(all, 1))?.size).toBe(1);
});

test('of rows of megabytes that changed, no more are kept than fit into memory', () => {
  const differences = new Differences({keyParts: 1, mostKeys: 1000, earlier: new Map()});
  const rows = (at: number) => [Buffer.from(`${at}\t${'x'.repeat(MiB)}\n`)];
  let added = 0;
  while (added < 100 && differences.add([], rows(added))) added += 1;
  expect(added).toBe(31);
});
