import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {openQuestDbSource, openQuestDbTarget} from '../../src/sources/questdb/index.ts';
import {runBkp} from '../helpers/bkp.ts';
import {freezeOptions, noSignal} from './questdb-copy.ts';
import {QuestDbServer} from './questdb-server.ts';

// A writer that does not stop during a backup: whatever it writes between two steps, the restored server has all rows
// of the checkpoint, by scan and by index, and accepts new ones.

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

/** A backup and its restore; `between` runs after each step. */
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

describe('a restore is complete if between two steps of its backup the server writes', () => {
  test('transactions into the WAL segment of transactions that are not applied', async () => {
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

  test('rows of an indexed symbol', async () => {
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

const columns =
  '(ts TIMESTAMP, w INT, n LONG, s SYMBOL INDEX CAPACITY 64, rare SYMBOL INDEX, note VARCHAR, price DOUBLE)';
const tables = ['storm', 'storm_direct'] as const;

/** Each writer numbers its rows from 1, and waits for the acknowledgement of each transaction. */
class Storm {
  readonly #server: QuestDbServer;
  readonly #acknowledged = new Map<string, number>();
  readonly #isApart: boolean;
  #isStopped = false;
  #done: Promise<unknown> | undefined;

  /** @param options.isApart no two rows have the same timestamp */
  constructor(server: QuestDbServer, {isApart = false} = {}) {
    this.#server = server;
    this.#isApart = isApart;
  }

  start(): void {
    this.#done = Promise.all([
      this.#insert('storm', 1, {rows: 1, lateMicros: 0}),
      this.#insert('storm', 2, {rows: 1, lateMicros: 0}),
      this.#insert('storm', 3, {rows: 400, lateMicros: 200_000_000_000}),
      this.#insert('storm', 4, {rows: 3000, lateMicros: 0}),
      this.#insert('storm_direct', 1, {rows: 500, lateMicros: 90_000_000_000}),
      this.#change(),
    ]);
  }

  /** Number of acknowledged rows, by table and writer. */
  acknowledged(): Map<string, number> {
    return new Map(this.#acknowledged);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #insert(table: string, writer: number, {rows, lateMicros}: {rows: number; lateMicros: number}): Promise<void> {
    const key = `${table} ${writer}`;
    for (let done = 0; !this.#isStopped; done += rows) {
      const n = `(x + ${done})`;
      // Most rows of a batch are in order; some are up to a few days late.
      const late =
        lateMicros === 0 ? '0L' : `CASE WHEN x % 3 = 0 THEN (x * 7919 * 1000003 % ${lateMicros}) ELSE 0L END`;
      const micros = `1704067200000000L + ${n} * ${Math.ceil(40_000_000 / rows)}L - ${late}`;
      const ts = this.#isApart ? `((${micros}) / ${2 ** 26}L * ${2 ** 26}L + ${n} * 8L + ${writer})` : `(${micros})`;
      await this.#server.sql(
        `INSERT INTO ${table} (ts, w, n, s, rare, note, price)
         SELECT ${ts}::TIMESTAMP, ${writer}, ${n},
           CASE WHEN ${n} % 11 = 0 THEN
             NULL ELSE 's' || (${n} % 37) END, 'r${writer}-' || (${n} / 5), 'note ' || ${n}, ${n} * 0.5
         FROM long_sequence(${rows})`,
      );
      this.#acknowledged.set(key, done + rows);
    }
  }

  async #change(): Promise<void> {
    for (let round = 0; !this.#isStopped; round++) {
      await this.#server.sql(`UPDATE storm SET price = ${round} WHERE n % 97 = ${round % 97}`);
      if (round % 5 === 0) await this.#server.sql(`ALTER TABLE storm ADD COLUMN c${round} SYMBOL INDEX`);
      if (round % 5 === 3 && round > 20) await this.#server.sql(`ALTER TABLE storm DROP COLUMN c${round - 13}`);
      await pause(300);
    }
  }
}

/** Checks all rows of each writer up to its largest, by scan and by index, and that the server accepts new ones. */
async function expectWhole(server: QuestDbServer, before: Map<string, number>): Promise<void> {
  for (const [key, acknowledged] of before) {
    const [table, writer] = key.split(' ');
    const [row] = await server.sql(
      `SELECT count(), count_distinct(n), min(n), max(n), sum(CASE WHEN note = 'note ' || n THEN 0 ELSE 1 END)
       FROM ${table} WHERE w = ${writer}`,
    );
    const [count, distinct, smallest, largest, wrong] = row as number[];
    expect({key, distinct, smallest, largest, wrong}).toEqual({
      key,
      distinct: count,
      smallest: 1,
      largest: count,
      wrong: 0,
    });
    expect(largest, key).toBeGreaterThanOrEqual(acknowledged);
  }
  for (const table of tables) {
    for (const column of ['s', 'rare']) {
      const scanned = await server.sql(
        `SELECT ${column}::VARCHAR v, count() FROM ${table} GROUP BY v ORDER BY count() DESC, v`,
      );
      const some = [...scanned.slice(0, 20), ...scanned.slice(-20)];
      for (const [value, rows] of some) {
        const wanted = value === null ? `${column} IS NULL` : `${column} = '${value}'`;
        expect(await server.sql(`SELECT count() FROM ${table} WHERE ${wanted}`), `${table} ${wanted}`).toEqual([
          [rows],
        ]);
      }
      const latest = await server.sql(
        `SELECT count(), max(ts), min(ts) FROM (SELECT ts, ${column} FROM ${table} LATEST ON ts ` +
          `PARTITION BY ${column})`,
      );
      const newest = `SELECT ${column}::VARCHAR v, max(ts) ts FROM ${table} GROUP BY v`;
      expect(latest, `${table} ${column}`).toEqual(
        await server.sql(`SELECT count(), max(ts), min(ts) FROM (${newest})`),
      );
    }
    const [[rows]] = (await server.sql(`SELECT count() FROM ${table}`)) as [[number]];
    for (const ts of ["'2023-12-31T05'", "'2024-01-01T00:00:01'", "'2034-01-01'"]) {
      await server.sql(`INSERT INTO ${table} (ts, w, n, s, rare) VALUES (${ts}, 9, 1, 's5', 'r-new')`);
    }
    await server.applied();
    expect(await server.sql(`SELECT count() FROM ${table}`)).toEqual([[rows + 3]]);
    expect(await server.sql(`SELECT count() FROM ${table} WHERE rare = 'r-new'`)).toEqual([[3]]);
  }
}

test.each([
  {title: '', env: {}, isApart: false},
  // Where rows share a timestamp, a backup that reads a partition after its split is refused.
  {
    title: ', with partitions that late rows split',
    env: {QDB_CAIRO_O3_PARTITION_SPLIT_MIN_SIZE: '8192'},
    isApart: true,
  },
])('a slow backup during a storm of writers is consistent$title', async ({env, isApart}) => {
  const server = await stormed(env);
  const storm = new Storm(server, {isApart});
  storm.start();
  let root: string;
  let before: Map<string, number>;
  try {
    await pause(5000);
    before = storm.acknowledged();
    let files = 0;
    root = await copySlowly(server, async (step) => {
      if (step !== 'file') await pause(4000);
      else if (++files % 10 === 0) await pause(200);
    });
  } finally {
    await storm.stop();
  }
  const restored = await start({}, root);
  await restored.applied();
  await expectWhole(restored, before);
});

test('a backup under many writers whose worker is paused repeatedly restores completely', async () => {
  const server = await stormed();
  const storm = new Storm(server);
  storm.start();
  const env = {
    BKP_SOURCE: `questdb::root=${server.root};http=${server.url}`,
    BKP_STORE: `fs::root=${join(folder, 'store')}`,
  };
  const bkp = (...args: string[]) => runBkp(args, {home: join(folder, 'home'), cwd: folder, env});
  let before: Map<string, number>;
  try {
    await pause(5000);
    before = storm.acknowledged();
    expect((await bkp('sql', 'BACKUP DATABASE')).stderr).toBe('');
    let stops = 0;
    for (;;) {
      const {stdout} = await bkp('operation', 'get', 'last', '--log');
      const pid = /starts in process (\d+)/.exec(stdout)?.[1];
      if (/ended: /.test(stdout)) break;
      if (pid === undefined || !signal(Number(pid), 'SIGSTOP')) continue;
      await pause(3000);
      signal(Number(pid), 'SIGCONT');
      await pause(100 * (1 + (stops++ % 5)));
    }
    console.info(`the worker was stopped ${stops} times`);
    expect((await bkp('operation', 'get', 'last', '--log')).stdout).toContain('ended: SUCCESS');
  } finally {
    await storm.stop();
  }
  const root = join(folder, 'restored');
  expect((await bkp('restore', '--root', root, '--wait')).status).toBe(0);
  const restored = await start({}, root);
  await restored.applied();
  await expectWhole(restored, before);
});

/** @returns false when the process has ended */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

async function stormed(env: Record<string, string> = {}): Promise<QuestDbServer> {
  const server = await start(env);
  await server.sql(`CREATE TABLE storm ${columns} TIMESTAMP(ts) PARTITION BY DAY WAL`);
  await server.sql(`CREATE TABLE storm_direct ${columns} TIMESTAMP(ts) PARTITION BY HOUR BYPASS WAL`);
  return server;
}
