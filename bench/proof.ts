import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {verifyBackups} from '../src/collections/index.ts';
import {openDirectoryStore, wrapStore} from '../src/stores/index.ts';
import {openVault} from '../src/vault/index.ts';
import {shopDatabase} from './data.ts';
import {median, type Run} from './measure.ts';
import {bkp, bkpOperation} from './tools.ts';

/**
 * What proof costs: `node bench/proof.ts <folder> [gib] [rounds]`. Each round restores the demo's shop into a new file,
 * with the full check that a drill makes and with the quick one, and has one drill, in another order each time; walls
 * are those of whole statements, CPU that of their workers. Then VERIFY reads with budgets: how much of the store, and
 * by how much its process grew. A drill gives way to other work (`backup.niceness`), so only a quiet machine tells
 * its wall.
 */
const [folder, gib = '1', rounds = '3'] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/proof.ts <folder> [gib] [rounds]');
rmSync(folder, {recursive: true, force: true});
mkdirSync(folder, {recursive: true});

const place = {folder, database: shopDatabase(folder, Number(gib))};
await bkp.prepare(place);
await bkp.full(place);

const target = join(folder, 'restored.db');
const restore = (check: 'quick' | 'full') => async (): Promise<Run> => {
  for (const end of ['', '-wal', '-shm']) rmSync(target + end, {force: true});
  return bkpOperation(place, ['--source', target, 'sql', '--wait', `RESTORE shop WITH (CHECK='${check}')`]);
};
const steps = {
  'restore, quick check': restore('quick'),
  'restore, full check': restore('full'),
  drill: () => bkpOperation(place, ['sql', '--wait', "VERIFY shop WITH (LEVEL='restore')"]),
};
type Step = keyof typeof steps;
const names = Object.keys(steps) as Step[];
const measured: Record<Step, Run[]> = {'restore, quick check': [], 'restore, full check': [], drill: []};
for (let round = 0; round < Number(rounds); round++) {
  const order = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
  for (const name of order) measured[name].push(await steps[name]());
}
for (const name of names) {
  const walls = measured[name].map(({wallSeconds}) => wallSeconds);
  const cpu = median(measured[name].map(({cpuSeconds}) => cpuSeconds!));
  const each = walls.map((wall) => wall.toFixed(2)).join(', ');
  console.log(`${name}: wall ${median(walls).toFixed(2)} s (${each}), CPU ${cpu.toFixed(2)} s`);
}
const ratios = (other: Step) =>
  measured.drill.map(({wallSeconds}, at) => wallSeconds / measured[other][at]!.wallSeconds);
for (const other of ['restore, full check', 'restore, quick check'] as const)
  console.log(`drill, wall against ${other}: ${median(ratios(other)).toFixed(3)}`);

for (const mebibytes of [32, 64, 128]) {
  let readBytes = 0;
  const store = await openDirectoryStore({root: join(folder, 'cluster'), create: false});
  const counted = wrapStore(store, {
    get: async (key, range) => {
      const bytes = await store.get(key, range);
      readBytes += bytes.length;
      return bytes;
    },
  });
  const vault = await openVault({store: counted, create: false});
  const bytes = mebibytes * 2 ** 20;
  const before = process.memoryUsage.rss();
  let mostRss = before;
  const progress = () => {
    mostRss = Math.max(mostRss, process.memoryUsage.rss());
  };
  const tools = {
    vault,
    nowMicros: () => Date.now() * 1000,
    signal: new AbortController().signal,
    progress,
    notice() {},
  };
  await verifyBackups(tools, {collection: 'shop', level: 'data', budget: {bytes}});
  vault.close();
  const grown = ((mostRss - before) / 2 ** 20).toFixed(0);
  console.log(
    `VERIFY with a budget of ${mebibytes} MiB: reads ${(readBytes / bytes).toFixed(4)} of it; grew by ${grown} MiB`,
  );
}
