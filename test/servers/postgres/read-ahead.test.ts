import {expect, onTestFinished, test} from 'vitest';
import {takeFull} from '../../sources/layers.ts';
import {clusterOfFile} from './cluster.ts';

const cluster = clusterOfFile(18);
const owner = 'collection-1';
const tables = ['public.item'];

const schema = `CREATE TABLE item (id int PRIMARY KEY, v int, pad text);
  INSERT INTO item SELECT g, 0, repeat(md5(g::text), 32) FROM generate_series(1, 12000) g`;

test('while a range of the base comes from the store, the next ones are asked for; a fault is told', async () => {
  const database = await cluster().create();
  const source = database.with({tracking: 'scan'});
  onTestFinished(async () => {
    await source.close();
    await database.close();
  });
  await database.exec(schema);
  const full = await takeFull(source, {tables, track: {owner}});
  const [base] = full.layers['public.item']!;
  if (base?.kind !== 'base' || base.form === 'records') throw new Error('rows were expected');
  const {segments, cuts} = base;
  expect(segments.length).toBeGreaterThan(8);
  await database.exec('UPDATE item SET v = 1 WHERE id % 20 = 7');
  const fingerprints = Object.fromEntries(full.schemas.map((one) => [one.name, one.fingerprint]));
  const since = {owner, mark: full.mark!, fingerprints};
  const compared = async (segment: (at: number) => Promise<Uint8Array>) => {
    const snapshot = await source.snapshot({tables, track: {owner}, since});
    try {
      const stored = {cuts, rows: 12_000, segments: segments.length, segment, deltas: []};
      return await snapshot.compare!('public.item', stored, {mostKeys: 1000});
    } finally {
      await snapshot.close();
    }
  };
  // None comes before four were asked for, or the last one was.
  let asked = 0;
  const waiting: (() => void)[] = [];
  const found = await compared(async (at) => {
    asked += 1;
    const isEnough = waiting.length === 3 || asked === segments.length;
    if (!isEnough) await new Promise<void>((resolve) => waiting.push(resolve));
    else for (const go of waiting.splice(0)) go();
    return segments[at]!.bytes;
  });
  expect(found).toMatchObject({changed: {keys: 600, rows: 600}});
  expect(asked).toBe(segments.length);
  const damaged = compared(async (at) => {
    if (at === 5) throw new Error('segment 5 is gone');
    return segments[at]!.bytes;
  });
  await expect(damaged).rejects.toThrow('segment 5 is gone');
}, 120_000);
