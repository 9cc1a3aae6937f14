import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {openQuestDbSource, openQuestDbTarget} from '../../src/sources/questdb/index.ts';
import {freezeOptions, noSignal} from './questdb-copy.ts';
import {QuestDbServer} from './questdb-server.ts';

// A writer that does not stop while a backup is taken: whatever it writes between two steps of the backup, the restored server
// has all rows of the moment, by scan and by index, and goes on.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-writer-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}));

async function start(env: Record<string, string> = {}, root?: string): Promise<QuestDbServer> {
  const server = await QuestDbServer.start({env, ...(root === undefined ? {} : {root})});
  onTestFinished(() => server.remove());
  return server;
}

type Step = 'frozen' | 'listed' | 'file' | 'read';

/** A backup and its restore; `between` is what happens after each step, for however long. */
async function copySlowly(server: QuestDbServer, between: (step: Step) => Promise<void>): Promise<string> {
  const root = join(folder, 'restored');
  const frozen = await openQuestDbSource({root: server.root, http: server.url}).freeze(freezeOptions);
  try {
    await between('frozen');
    const target = openQuestDbTarget({root});
    await target.prepare(frozen.facts);
    const files = [];
    for await (const file of frozen.files()) files.push(file);
    await between('listed');
    for (const file of files) {
      await target.write(file, frozen.read(file));
      await between('file');
    }
    await between('read');
    await frozen.confirm();
    await target.publish({signal: noSignal});
  } finally {
    await frozen.release();
  }
  return root;
}

const numbers = (server: QuestDbServer, table: string) =>
  server.sql(`SELECT count(), count_distinct(n), min(n), max(n) FROM ${table}`);

describe('what is written between two steps of a backup', () => {
  test('are transactions into the same WAL segment as those that are not applied', async () => {
    const server = await start({QDB_CAIRO_WAL_APPLY_ENABLED: 'false'});
    await server.sql('CREATE TABLE t (ts TIMESTAMP, n LONG, s SYMBOL, v VARCHAR) TIMESTAMP(ts) PARTITION BY DAY WAL');
    const insert = async (from: number, to: number) => {
      for (let n = from; n <= to; n++)
        await server.sql(`INSERT INTO t VALUES (${1_704_067_200_000_000 + n * 1000}, ${n}, 's${n % 20}', 'text ${n}')`);
    };
    await insert(1, 10);
    const root = await copySlowly(server, (step) => (step === 'listed' ? insert(11, 5010) : Promise.resolve()));
    const restored = await start({}, root);
    await restored.applied();
    expect(await numbers(restored, 't')).toEqual([[10, 10, 1, 10]]);
    await restored.sql("INSERT INTO t VALUES ('2024-01-01T01', 11, 'new', 'more')");
    await restored.applied();
    expect(await numbers(restored, 't')).toEqual([[11, 11, 1, 11]]);
  });

  test('are rows of an indexed symbol', async () => {
    const server = await start();
    for (const kind of ['WAL', 'BYPASS WAL']) {
      const table = kind === 'WAL' ? 'logged' : 'direct';
      await server.sql(
        `CREATE TABLE ${table} (ts TIMESTAMP, n LONG, s SYMBOL INDEX) TIMESTAMP(ts) PARTITION BY DAY ${kind}`,
      );
    }
    let rows = 0;
    const insert = async (count: number) => {
      for (const table of ['logged', 'direct'])
        await server.sql(
          `INSERT INTO ${table} SELECT (1704067200000000L + (x + ${rows}) * 1000L)::TIMESTAMP, x + ${rows},
             's' || ((x + ${rows}) % 50) FROM long_sequence(${count})`,
        );
      rows += count;
      await server.applied();
    };
    await insert(1000);
    const root = await copySlowly(server, (step) => (step === 'listed' ? insert(119_000) : Promise.resolve()));
    const restored = await start({}, root);
    for (const table of ['logged', 'direct']) {
      expect(await restored.sql(`SELECT count() FROM ${table} WHERE s = 's7'`)).toEqual([[20]]);
      expect(await restored.sql(`SELECT count(), max(n) FROM (${table} LATEST ON ts PARTITION BY s)`)).toEqual([
        [50, 1000],
      ]);
      await restored.sql(`INSERT INTO ${table} VALUES ('2024-01-01T01', 1001, 's7')`);
      await restored.applied();
      expect(await restored.sql(`SELECT count() FROM ${table} WHERE s = 's7'`)).toEqual([[21]]);
    }
  });
});
