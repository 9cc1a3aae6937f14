import {expect, onTestFinished, test} from 'vitest';
import {BkpError} from '../../../src/errors/index.ts';
import {type Backup, restore, takeFull, takeIncrement} from '../../sources/layers.ts';
import {clusterOfFile, type TestDatabase} from './cluster.ts';
import {Network} from './network.ts';

const cluster = clusterOfFile();
const owner = 'c';
const tables = ['public.keyed', 'public.parted'];

async function filled(): Promise<TestDatabase> {
  const database = await cluster().create();
  onTestFinished(() => database.close());
  await database.exec(`
    CREATE TABLE keyed (id int PRIMARY KEY, note text, other int REFERENCES keyed (id));
    CREATE INDEX ON keyed (note);
    CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
    CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (50);
    CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (MAXVALUE);
    CREATE TABLE plain (note text);
    INSERT INTO keyed SELECT g, repeat('k', 300), nullif(g / 2, 0) FROM generate_series(1, 8000) g;
    INSERT INTO parted SELECT g, 'p' || g FROM generate_series(1, 100) g;
    INSERT INTO plain SELECT repeat('l', 200) FROM generate_series(1, 2000) g`);
  return database;
}

async function networkTo(): Promise<Network> {
  const network = await Network.start(() => cluster().port);
  onTestFinished(() => network.close());
  return network;
}

/** Breaks `work` at many points. A promise that rejects with nobody awaiting it makes the run of the tests fail. */
async function breakEverywhere(
  network: Network,
  work: () => Promise<unknown>,
  {points}: {points: number},
): Promise<number> {
  const begin = {pieces: network.pieces, bytes: network.bytes};
  await work();
  const all = {pieces: network.pieces - begin.pieces, bytes: network.bytes - begin.bytes};
  let broken = 0;
  const attempt = async (where: string) => {
    try {
      await work();
    } catch (error) {
      expect(error, where).toBeInstanceOf(BkpError);
      const {code, retryable} = error as BkpError;
      expect({code, retryable}, `${where}: ${(error as BkpError).message}`).toEqual({
        code: 'SOURCE_UNAVAILABLE',
        retryable: true,
      });
      broken += 1;
    }
    network.cutAt = Number.POSITIVE_INFINITY;
    network.cutAfterBytes = Number.POSITIVE_INFINITY;
  };
  for (let piece = 1; piece <= all.pieces; piece += Math.max(1, all.pieces / points)) {
    network.cutAt = network.pieces + Math.floor(piece);
    await attempt(`before piece ${Math.floor(piece)} of ${all.pieces}`);
  }
  for (let part = 1; part < points; part++) {
    network.cutAfterBytes = network.bytes + Math.floor((all.bytes * part) / points);
    await attempt(`after ${part} of ${points} parts of ${all.bytes} bytes`);
  }
  return broken;
}

test('backup, increment and restore whose connections break fail with an error, and succeed afterwards', async () => {
  const database = await filled();
  const network = await networkTo();
  const points = Number(process.env.BKP_CUTS ?? 10);
  const full = () => takeFull(database.through(network.port), {tables: [...tables, 'public.plain']});
  expect(await breakEverywhere(network, full, {points})).toBeGreaterThan(points);
  const base = await takeFull(database.source, {tables, track: {owner}});
  await database.exec(`UPDATE keyed SET note = 'new' WHERE id % 3 = 0; DELETE FROM parted WHERE id > 90`);
  const increment = () => takeIncrement(database.through(network.port), owner, base);
  expect(await breakEverywhere(network, increment, {points})).toBeGreaterThan(points);
  const backup: Backup = await increment();
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const again = async () => {
    await target.exec('DROP TABLE IF EXISTS keyed, parted');
    await restore(target.through(network.port), backup);
  };
  expect(await breakEverywhere(network, again, {points})).toBeGreaterThan(points);
  await again();
  for (const table of tables) expect(await target.rows(table)).toEqual(await database.rows(table));
  expect(await target.rows("(SELECT nspname FROM pg_namespace WHERE nspname LIKE '\\_bkp%')")).toEqual([]);
});

test('a network that swallows everything ends a backup and a restore, whose ends do not wait for it', async () => {
  const database = await filled();
  const network = await networkTo();
  const behind = database.through(network.port, {quietMs: 300});
  const base = await takeFull(database.source, {tables});
  const target = await cluster().create();
  onTestFinished(() => target.close());
  const works = {
    backup: () => takeFull(behind, {tables}),
    restore: () => restore(target.through(network.port, {quietMs: 300}), base),
  };
  for (const [what, work] of Object.entries(works)) {
    for (const afterMs of [0, 150, 300, 450]) {
      const running = work();
      const timer = setTimeout(() => network.silence(), afterMs);
      const result = await running.then(
        () => 'done',
        (error: unknown) => error,
      );
      clearTimeout(timer);
      network.silence(false);
      network.cut();
      if (result === 'done') await target.exec('DROP TABLE IF EXISTS keyed, parted');
      else expect(result, `${what}, ${afterMs} ms`).toMatchObject({code: 'SOURCE_UNAVAILABLE', retryable: true});
    }
  }
});
