import {expect, onTestFinished, test} from 'vitest';
import {merge, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

// It has btree_gist.
const cluster = clusterOfFile('contrib');
const owner = 'c';
const tables = ['public.rooms', 'public.spans'];

// The operator that such a key's index looks for first is &&: it finds rows beside those that were changed.
test.each(['triggers', 'scan'] as const)('rows of a key WITHOUT OVERLAPS come back, tracking=%s', async (tracking) => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE EXTENSION btree_gist;
    CREATE TABLE rooms (id int, of daterange, note text, PRIMARY KEY (id, of WITHOUT OVERLAPS));
    CREATE TABLE spans (id int4range, of datemultirange, note text, PRIMARY KEY (id, of WITHOUT OVERLAPS));
    INSERT INTO rooms SELECT g, '[2026-01-01,2027-01-01)', 'whole' FROM generate_series(1, 30) g;
    INSERT INTO spans SELECT int4range(g, g + 1), '{[2026-01-01,2027-01-01)}', 'whole' FROM generate_series(1, 30) g`,
  );
  const source = database.with({tracking});
  onTestFinished(() => source.close());
  const full = await takeFull(source, {tables, track: {owner}});
  await database.exec(`
    UPDATE rooms SET of = '[2026-01-01,2026-06-01)' WHERE id = 1;
    INSERT INTO rooms VALUES (1, '[2026-06-01,2027-01-01)', 'second half');
    UPDATE spans SET of = '{[2026-01-01,2026-06-01)}' WHERE id = '[1,2)';
    INSERT INTO spans VALUES ('[1,2)', '{[2026-06-01,2027-01-01)}', 'second half');
    UPDATE spans SET id = '[2,4)', of = '{[2028-01-01,)}' WHERE id = '[2,3)'; DELETE FROM spans WHERE id = '[9,10)'`);
  const next = await takeIncrement(source, owner, full);
  await restore(target.source, next);
  for (const table of tables) expect(await target.rows(table), table).toEqual(await database.rows(table));

  const rows = await database.rows('spans');
  await database.exec("UPDATE spans SET note = 'lost' WHERE id = '[1,2)'; DELETE FROM spans WHERE id = '[20,21)'");
  expect(await merge(database.source, next, 'merge')).toMatchObject([
    {name: 'public.rooms', inserted: 0, updated: 0},
    {name: 'public.spans', inserted: 1, updated: 2},
  ]);
  expect(await database.rows('spans')).toEqual(rows);
});
