import {expect, test} from 'vitest';
import {fillStaging, takeFull} from '../../sources/layers.ts';
import {clusterOfFile, filledAndEmpty} from './cluster.ts';

const cluster = clusterOfFile(15);

test('a database that orders texts otherwise than that of the backup is named', async () => {
  const {database, target} = await filledAndEmpty(
    cluster(),
    `CREATE TABLE t (id text PRIMARY KEY, up text GENERATED ALWAYS AS (upper(id)) STORED); INSERT INTO t VALUES ('é')`,
  );
  const full = await takeFull(database.source, {tables: ['public.t']});
  await target.exec(`CREATE DATABASE ${target.name}_c TEMPLATE template0 LOCALE 'C'`);
  const other = target.named(`${target.name}_c`);
  const told: string[] = [];
  for (const one of [other, target]) {
    const staging = await fillStaging(one.source, full);
    await staging.publish({notice: (text) => told.push(text)});
    await staging.discard();
  }
  expect(await target.rows('t')).toEqual(['(é,É)']);
  expect(await other.rows('t')).toEqual(['(é,é)']);
  expect(told).toEqual([
    expect.stringMatching(/^the database orders texts as in C, that of the backup as in C\.UTF-8/u),
  ]);
  await other.close();
});
