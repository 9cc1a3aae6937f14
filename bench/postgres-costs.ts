import {PostgresSource} from '../src/sources/postgres/index.ts';
import {median, run} from './measure.ts';
import type {PostgresServer} from './postgres-server.ts';

export type Cost = {name: string; most: number; unit: '' | ' s'; rounds: readonly number[]};

const bulkRows = 500_000;
const transactions = 20_000;
const describedTables = 1000;
const publishedTables = 100;

/** What bkp costs the server's writers, and what depends on the number of tables. */
export async function costsOf(server: PostgresServer, rounds: number): Promise<readonly Cost[]> {
  server.sql('postgres', 'DROP DATABASE IF EXISTS costs; CREATE DATABASE costs');
  try {
    return [...(await trackingCosts(server, rounds)), ...(await tableCosts(server, rounds))];
  } finally {
    server.sql('postgres', 'DROP DATABASE IF EXISTS costs; DROP DATABASE IF EXISTS published');
  }
}

const sourceOf = (server: PostgresServer, dbname: string) =>
  new PostgresSource({
    description: dbname,
    parameters: {host: server.folder, port: String(server.port), user: 'postgres', dbname},
    pgBin: server.bin,
    env: {PATH: server.bin},
  });

/** The server's CPU with tracking for each second without. */
async function trackingCosts(server: PostgresServer, rounds: number): Promise<readonly Cost[]> {
  const columns = '(id bigint PRIMARY KEY, n int NOT NULL, name text NOT NULL, at timestamptz NOT NULL)';
  server.sql('costs', `CREATE TABLE plain ${columns}; CREATE TABLE tracked ${columns}`);
  const source = sourceOf(server, 'costs');
  await (await source.snapshot({tables: ['public.tracked'], track: {owner: 'bench'}})).close();
  await source.close();
  const cpuOf = async (act: () => unknown) => {
    server.sql('costs', 'CHECKPOINT');
    const before = server.cpuSeconds();
    await act();
    return server.cpuSeconds() - before;
  };
  const bulk = (table: string, round: number) => () => {
    const ids = `generate_series(${round * bulkRows + 1}, ${(round + 1) * bulkRows}) g`;
    server.sql('costs', `INSERT INTO ${table} SELECT g, g % 1000, 'name ' || md5(g::text), now() FROM ${ids}`);
  };
  const single = (table: string) => async () => {
    const script = `\\set id random(1, ${bulkRows})\nUPDATE ${table} SET n = n + 1 WHERE id = :id;\n`;
    const args = ['-n', '-c', '2', '-t', String(transactions / 2), '-f', '/dev/stdin', ...server.where, 'costs'];
    await run(['sh', '-c', 'printf %s "$1" | { shift; exec "$@"; }', 'sh', script, server.program('pgbench'), ...args]);
  };
  const ratios = {bulk: [] as number[], single: [] as number[]};
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ['plain', 'tracked'] : ['tracked', 'plain'];
    const taken = new Map<string, {bulk: number; single: number}>();
    for (const table of order) {
      taken.set(table, {bulk: await cpuOf(bulk(table, round)), single: await cpuOf(single(table))});
    }
    for (const kind of ['bulk', 'single'] as const) {
      ratios[kind].push(taken.get('tracked')![kind] / taken.get('plain')![kind]);
    }
  }
  return [
    {name: `tracking: CPU of an insert of ${bulkRows} rows`, most: 1.2, unit: '', rounds: ratios.bulk},
    {name: 'tracking: CPU of single-row updates by pgbench', most: 1.15, unit: '', rounds: ratios.single},
  ];
}

async function tableCosts(server: PostgresServer, rounds: number): Promise<readonly Cost[]> {
  server.sql(
    'costs',
    `DO $$ BEGIN FOR n IN 1..${describedTables} LOOP
      EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text, at timestamptz)', n);
      EXECUTE format('CREATE INDEX ON t%s (at)', n); EXECUTE format('INSERT INTO t%s VALUES (1, %L, now())', n, 'v');
    END LOOP; END $$`,
  );
  const described: number[] = [];
  const published: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const source = sourceOf(server, 'costs');
    const startedAtMs = performance.now();
    await source.describe('all');
    described.push((performance.now() - startedAtMs) / 1000);
    published.push(await publishSeconds(server, source));
    await source.close();
  }
  return [
    {name: `describe of ${describedTables} tables`, most: 2, unit: ' s', rounds: described},
    {name: `publish of ${publishedTables} tables`, most: 1, unit: ' s', rounds: published},
  ];
}

async function publishSeconds(server: PostgresServer, source: PostgresSource): Promise<number> {
  server.sql('postgres', 'DROP DATABASE IF EXISTS published; CREATE DATABASE published');
  const tables = Array.from({length: publishedTables}, (_, at) => `public.t${at + 1}`);
  const snapshot = await source.snapshot({tables});
  const target = sourceOf(server, 'published');
  const {schemas, database} = snapshot;
  const staging = await target.stage(schemas, {id: 'bench', database, bases: new Map(), published: new Map()});
  try {
    for (const table of tables) {
      const base = await snapshot.base(table);
      if (base.form !== 'rows') throw new Error('not rows');
      for await (const {bytes, release} of base.rows) {
        await staging.load(table, bytes);
        release?.();
      }
    }
    await staging.finish({check: 'quick'});
    const startedAtMs = performance.now();
    await staging.publish({});
    return (performance.now() - startedAtMs) / 1000;
  } finally {
    await staging.discard();
    await snapshot.close();
    await target.close();
  }
}

export function printCosts(costs: readonly Cost[]): void {
  for (const {name, most, unit, rounds} of costs) {
    const measured = median(rounds);
    const shown = measured <= most ? measured.toFixed(3) : `**${measured.toFixed(3)}, not reached**`;
    console.log(`| ${name} | ${most}${unit} | ${shown} | ${rounds.map((each) => each.toFixed(3)).join(', ')} |`);
  }
}
