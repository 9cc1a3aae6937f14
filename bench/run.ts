/**
 * npm run bench -- [--gib 1] [--rounds 5] [--data FOLDER]
 *
 * Backs up the same database with bkp and with the tools that a user would choose instead, in one run: a first
 * backup and its restore, a second one after 1 % of scattered changes, a verification of these two, another full one,
 * restores. Prints medians and ratios by round.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, statSync} from 'node:fs';
import {availableParallelism, cpus, totalmem} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {parseArgs} from 'node:util';
import {changeShop} from '../src/commands/demo/shop.ts';
import {shopDatabase} from './data.ts';
import {has, type Run, run} from './measure.ts';
import {bareNode, figure, type Round, report} from './report.ts';
import {startup} from './startup.ts';
import {bkp, borg, copyDatabase, type Place, restic, sqliteZstd, type Tool} from './tools.ts';
import {trackingOverhead} from './tracking.ts';

const {values} = parseArgs({
  options: {
    gib: {type: 'string', default: '1'},
    rounds: {type: 'string', default: '5'},
    data: {type: 'string', default: join(import.meta.dirname, 'data')},
  },
});
const gib = Number(values.gib);
const work = join(values.data, 'work');

const wanted = [restic, borg, sqliteZstd];
const peers = wanted.filter((tool) => tool.needs.every(has));
for (const tool of wanted.filter((tool) => !peers.includes(tool))) {
  console.log(`left out, not installed: ${tool.name} (${tool.needs.join(', ')})`);
}

const database = shopDatabase(values.data, gib);
console.log(
  `node ${process.versions.node}, ${availableParallelism()} cores (${cpus()[0]?.model}), ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB memory`,
);
console.log(`database: ${(statSync(database).size / 2 ** 20).toFixed(0)} MiB\n`);

const rounds: Round[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  console.error(`round ${round + 1} of ${values.rounds}`);
  rounds.push(await playRound(round));
}
report(rounds, ['bkp', ...peers.map((tool) => tool.name), bareNode]);
await trackingOverhead(work);
await startup(work);

/** Runs each step with every tool, in a different order each round, so that no tool always comes first. */
async function playRound(number: number): Promise<Round> {
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  const round: Round = new Map();
  const shop = join(work, 'shop.db');
  copyDatabase(database, shop);
  const tools: Tool[] = [bkp, ...peers];
  tools.push(...tools.splice(0, number % tools.length));
  const places = new Map<Tool, Place>();
  for (const tool of tools) {
    const folder = join(work, tool.name.replace(/\W+/g, '-'));
    mkdirSync(folder, {recursive: true});
    const place = {folder, database: shop};
    places.set(tool, place);
    await tool.prepare(place);
  }
  const step = async (name: string, act: (tool: Tool, place: Place) => Promise<Run> | undefined) => {
    for (const tool of tools) {
      const place = places.get(tool)!;
      const before = tool.stored(place);
      settle();
      const running = act(tool, place);
      if (running !== undefined)
        figure(round, name, tool.name, {...(await running), storedBytes: tool.stored(place) - before});
    }
  };
  const bkpAlone = async (name: string, act: () => Promise<Run>, place = places.get(bkp)!) => {
    const before = bkp.stored(place);
    settle();
    figure(round, name, bkp.name, {...(await act()), storedBytes: bkp.stored(place) - before});
  };
  await step('full', (tool, place) => tool.full(place));
  const tables = {folder: join(work, 'bkp-tables-only'), database: shop};
  mkdirSync(tables.folder);
  await bkp.prepare(tables, {omitIndexes: true});
  await bkpAlone('full, tables only', () => bkp.full(tables), tables);
  const restored = join(work, 'restored');
  const emptied = () => {
    rmSync(restored, {recursive: true, force: true});
    mkdirSync(restored);
    return join(restored, 'shop.db');
  };
  await step('restore', (tool, place) => tool.restore(place, emptied()));
  const own = places.get(bkp)!;
  const existing = emptied();
  otherDatabase(existing);
  await bkpAlone('restore into an existing database', () => bkp.restore(own, existing));
  console.error(changeShop(shop));
  await step('next after 1 %', (tool, place) => tool.next(place));
  await step('verify all data', (tool, place) => tool.verify?.(place));
  await bkpAlone('restore base and increment', () => bkp.restore(own, emptied()));
  await bkpAlone('second full', () => bkp.full(own));
  await bkpAlone('increment without changes', () => bkp.next(own));
  const bare = await run([process.execPath, '-e', '0']);
  figure(round, 'increment without changes', bareNode, {...bare, storedBytes: 0});
  await bkpAlone('restore of the second full', () => bkp.restore(own, emptied()));
  return round;
}

/** What one tool left to be written is not for the next one to wait for. */
function settle(): void {
  execFileSync('sync');
}

/** A database of an application that stays in it: one table, in WAL mode. */
function otherDatabase(path: string): void {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1)');
  db.close();
}
