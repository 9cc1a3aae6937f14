/**
 * npm run bench -- [--gib 1] [--rounds 3] [--data FOLDER]
 *
 * Backs up the same database with bkp and with the tools that a user would choose instead, in one run: a first
 * backup, a second one after 1 % of scattered changes, another full one, a restore, a verification. Prints
 * medians and ratios by round.
 */
import {mkdirSync, rmSync, statSync} from 'node:fs';
import {availableParallelism, cpus, totalmem} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {changeShop} from '../src/commands/demo/shop.ts';
import {shopDatabase} from './data.ts';
import {has, type Run} from './measure.ts';
import {figure, type Round, report} from './report.ts';
import {startup} from './startup.ts';
import {bkp, borg, copyDatabase, type Place, restic, sqliteZstd, type Tool} from './tools.ts';
import {trackingOverhead} from './tracking.ts';

const {values} = parseArgs({
  options: {
    gib: {type: 'string', default: '1'},
    rounds: {type: 'string', default: '3'},
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
report(rounds, ['bkp', ...peers.map((tool) => tool.name)]);
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
      const running = act(tool, place);
      if (running !== undefined)
        figure(round, name, tool.name, {...(await running), storedBytes: tool.stored(place) - before});
    }
  };
  await step('full', (tool, place) => tool.full(place));
  console.error(changeShop(shop));
  await step('next after 1 %', (tool, place) => tool.next(place));
  await step('second full', (tool, place) => (tool === bkp ? bkp.secondFull(place) : undefined));
  await step('restore', (tool, place) => tool.restore(place, join(work, `restored-${tool.needs[0] ?? 'bkp'}`)));
  await step('verify all data', (tool, place) => tool.verify?.(place));
  return round;
}
