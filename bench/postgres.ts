/**
 * npm run bench:postgres -- --bin /usr/lib/postgresql/18/bin [--scale 1] [--rounds 5] [--data FOLDER] [--only STEP]
 *
 * Backs up the same database with bkp and with pg_dump, in pairs: a full backup, an increment after 1 % of scattered
 * changes, a second full backup of nothing that changed, restores into empty databases. Then it measures what tracking
 * costs writers, and what depends on the number of tables. The server runs on the same
 * cores, and its CPU is printed beside that of the clients. `--bin` must have a pg_dump that can write zstd.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync} from 'node:fs';
import {availableParallelism, cpus} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {folderBytes, median, type Run, run} from './measure.ts';
import {costsOf, printCosts} from './postgres-costs.ts';
import {changeShop, shopOf, shopTables} from './postgres-data.ts';
import {PostgresServer} from './postgres-server.ts';
import {bkpCommand, bkpOperation, type Place} from './tools.ts';

const {values} = parseArgs({
  options: {
    bin: {type: 'string'},
    scale: {type: 'string', default: '1'},
    rounds: {type: 'string', default: '5'},
    data: {type: 'string', default: join(import.meta.dirname, 'data')},
    only: {type: 'string'},
  },
});
if (values.bin === undefined) throw new Error('--bin names the folder of pg_dump, psql and postgres');
const server = new PostgresServer(join(values.data, 'postgres'), values.bin);
const work = join(values.data, 'postgres-work');
const stepsWanted = values.only?.split(',');

type Step = Run & {serverSeconds: number; addedBytes: number};
type Figures = Map<string, Step>;

const steps: readonly (readonly [string, (at: Pair) => Promise<Figures> | Figures])[] = [
  ['full', full],
  ['increment', increment],
  ['second full', secondFull],
  ['restore', restore],
];

/** Where both tools work on one database. */
type Pair = {bkp: Place; dumps: string; database: string; round: number};

server.start();
try {
  const shop = shopOf(server, Number(values.scale));
  const size = server.sql(shop, 'SELECT pg_size_pretty(pg_database_size(current_database()))');
  console.log(`node ${process.versions.node}, PostgreSQL ${server.sql(shop, 'SHOW server_version')}`);
  console.log(`${availableParallelism()} cores (${cpus()[0]?.model}); database: ${size}\n`);
  const rounds: Figures[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    console.error(`round ${round + 1} of ${values.rounds}`);
    rounds.push(await playRound(shop, round));
  }
  report(rounds);
  if (stepsWanted === undefined || stepsWanted.includes('costs')) {
    printCosts(await costsOf(server, Number(values.rounds)));
  }
} finally {
  server.stop();
}

async function playRound(shop: string, round: number): Promise<Figures> {
  rmSync(work, {recursive: true, force: true});
  mkdirSync(join(work, 'bkp'), {recursive: true});
  server.sql('postgres', `DROP DATABASE IF EXISTS live; CREATE DATABASE live TEMPLATE ${shop} STRATEGY file_copy`);
  const pair: Pair = {
    bkp: {folder: join(work, 'bkp'), database: 'live'},
    dumps: join(work, 'dumps'),
    database: 'live',
    round,
  };
  mkdirSync(pair.dumps);
  await bkpCommand(pair.bkp, ['config', 'set', 'source', `postgres::url=${server.url('live')};pgBin=${server.bin}`]);
  const tables = shopTables.map((table) => `TABLE ${table}`).join(', ');
  const settings = "STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true'";
  await bkpCommand(pair.bkp, ['sql', `CREATE BACKUP COLLECTION shop (${tables}) WITH (${settings})`]);
  const figures: Figures = new Map();
  for (const [name, act] of steps) {
    if (stepsWanted !== undefined && name !== 'full' && !stepsWanted.includes(name)) continue;
    for (const [tool, step] of await act(pair)) figures.set(`${name}, ${tool}`, step);
  }
  server.sql('postgres', 'DROP DATABASE live');
  return figures;
}

async function full(pair: Pair): Promise<Figures> {
  return inTurn(pair.round, [
    ['bkp', () => backup(pair, 'BACKUP shop')],
    ['pg_dump', () => dump(pair, 'full')],
  ]);
}

async function increment(pair: Pair): Promise<Figures> {
  server.sql(pair.database, changeShop);
  return inTurn(pair.round, [
    ['bkp', () => backup(pair, 'BACKUP shop INCREMENTAL')],
    ['pg_dump', () => dump(pair, 'increment')],
  ]);
}

async function secondFull(pair: Pair): Promise<Figures> {
  // What the increment left to be read again is read by this one.
  await backup(pair, 'BACKUP shop');
  return inTurn(pair.round, [
    ['bkp', () => backup(pair, 'BACKUP shop')],
    ['pg_dump', () => dump(pair, 'second')],
  ]);
}

async function restore(pair: Pair): Promise<Figures> {
  const into = (name: string) => {
    server.sql('postgres', `DROP DATABASE IF EXISTS ${name}; CREATE DATABASE ${name}`);
    settle();
    return name;
  };
  if (stepsWanted?.includes('restore') && stepsWanted.length === 1) await dump(pair, 'second');
  const figures = await inTurn(pair.round, [
    [
      'bkp',
      async () => {
        const source = `postgres::url=${server.url(into('restored'))};pgBin=${server.bin}`;
        return measured(() => bkpOperation(pair.bkp, ['--source', source, 'sql', '--wait', 'RESTORE shop']));
      },
    ],
    [
      'pg_restore',
      async () => {
        const target = into('restored_by_pg_restore');
        const args = ['-j', '2', '-d', target, join(pair.dumps, 'second')];
        return measured(() => run([server.program('pg_restore'), ...server.where, ...args]));
      },
    ],
  ]);
  requireSame('restored', pair.database);
  server.sql('postgres', 'DROP DATABASE restored; DROP DATABASE restored_by_pg_restore');
  return figures;
}

/** A restore that is fast and wrong is none. */
function requireSame(one: string, other: string): void {
  const digest = 'SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM';
  for (const table of shopTables) {
    const [a, b] = [one, other].map((database) => server.sql(database, `${digest} ${table} t`));
    if (a !== b) throw new Error(`${table}: ${a} instead of ${b}`);
  }
}

/** In another order each round, so that none always comes first. */
async function inTurn(round: number, tools: readonly [string, () => Promise<Step>][]): Promise<Figures> {
  const figures: Figures = new Map();
  for (const [tool, act] of round % 2 === 0 ? tools : tools.toReversed()) figures.set(tool, await act());
  return figures;
}

async function backup({bkp}: Pair, statement: string): Promise<Step> {
  const cluster = join(bkp.folder, 'cluster');
  mkdirSync(cluster, {recursive: true});
  const before = folderBytes(cluster);
  const step = await measured(() => bkpOperation(bkp, ['sql', '--wait', statement]));
  return {...step, addedBytes: folderBytes(cluster) - before};
}

async function dump({dumps, database}: Pair, name: string): Promise<Step> {
  const folder = join(dumps, name);
  const args = ['-Fd', '-j', '2', '-Z', 'zstd:3', '-f', folder, database];
  const step = await measured(() => run([server.program('pg_dump'), ...server.where, ...args]));
  return {...step, addedBytes: folderBytes(folder)};
}

async function measured(act: () => Promise<Run>): Promise<Step> {
  settle();
  const before = server.cpuSeconds();
  const done = await act();
  return {...done, serverSeconds: server.cpuSeconds() - before, addedBytes: 0};
}

function settle(): void {
  execFileSync('sync');
}

function report(rounds: readonly Figures[]): void {
  console.log('| step | tool | wall s | client CPU s | server CPU s | peak MiB | MiB added |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  const all = (key: string, field: (step: Step) => number) =>
    rounds.flatMap((round) => (round.has(key) ? [field(round.get(key)!)] : []));
  for (const key of rounds[0]!.keys()) {
    const of = (field: (step: Step) => number, digits: number) => median(all(key, field)).toFixed(digits);
    const [step, tool] = key.split(', ');
    console.log(
      `| ${step} | ${tool} | ${of((run) => run.wallSeconds, 2)} | ${of((run) => run.cpuSeconds ?? 0, 1)} | ` +
        `${of((run) => run.serverSeconds, 1)} | ${of((run) => run.peakMiB ?? 0, 0)} | ` +
        `${of((run) => run.addedBytes / 2 ** 20, 1)} |`,
    );
  }
  console.log('\n| figure | at most | measured | each round |\n| --- | --- | --- | --- |');
  const ratio = (name: string, most: number, one: string, other: string, field: (step: Step) => number) => {
    const ratios = rounds.flatMap((round) =>
      round.has(one) && round.has(other) ? [field(round.get(one)!) / field(round.get(other)!)] : [],
    );
    if (ratios.length === 0) return;
    const measured = median(ratios);
    const shown = measured <= most ? measured.toFixed(3) : `**${measured.toFixed(3)}, not reached**`;
    console.log(`| ${name} | ${most} | ${shown} | ${ratios.map((each) => each.toFixed(3)).join(', ')} |`);
  };
  const wall = (step: Step) => step.wallSeconds;
  const bytes = (step: Step) => step.addedBytes;
  const dumped = 'against pg_dump -Fd -j2 -Z zstd:3';
  ratio(`full: wall, ${dumped}`, 1, 'full, bkp', 'full, pg_dump', wall);
  ratio('full: bytes', 1.1, 'full, bkp', 'full, pg_dump', bytes);
  ratio('increment of 1 %: wall', 0.2, 'increment, bkp', 'increment, pg_dump', wall);
  ratio('increment of 1 %: bytes', 0.03, 'increment, bkp', 'increment, pg_dump', bytes);
  ratio('second full, nothing changed: wall', 0.4, 'second full, bkp', 'second full, pg_dump', wall);
  ratio('second full, nothing changed: bytes', 0.005, 'second full, bkp', 'second full, pg_dump', bytes);
  ratio('restore: wall, against pg_restore -j2', 1, 'restore, bkp', 'restore, pg_restore', wall);
  const peaks = rounds.map((round) =>
    Math.max(...[...round].filter(([key]) => key.endsWith(', bkp')).map(([, step]) => step.peakMiB ?? 0)),
  );
  const peak = median(peaks);
  const shownPeak = peak <= 300 ? peak.toFixed(0) : `**${peak.toFixed(0)}, not reached**`;
  console.log(
    `| peak RSS of a worker, MiB | 300 | ${shownPeak} | ${peaks.map((each) => each.toFixed(0)).join(', ')} |`,
  );
}
