import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {planRestore, restoreBackup} from '../src/collections/index.ts';
import {changeShop} from '../src/commands/demo/shop.ts';
import {SqliteSource} from '../src/sources/sqlite/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {openVault} from '../src/vault/index.ts';
import {shopDatabase} from './data.ts';
import {median} from './measure.ts';
import {bkp, copyDatabase} from './tools.ts';

/**
 * What the notes cost that let a restore continue which was killed: `node bench/continued.ts <folder> [gib] [rounds]`.
 * Each round restores the demo's shop into a new file with the notes and without them, in another order each time, each
 * in a process of its own: once the full backup, once with an increment of 1 %, which has notes of its rows and of its
 * indexes. The same process takes no notes if the staging has no plan by which another one would find it.
 */
const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/continued.ts <folder> [gib] [rounds]');
if (rest[0] === 'restore') await restore(folder, rest[1]!, rest[2] === 'with');
else await compare(folder, rest[0] ?? '1', Number(rest[1] ?? '5'));

type Used = {cpuSeconds: number; wallSeconds: number};

async function compare(folder: string, gib: string, rounds: number): Promise<void> {
  mkdirSync(folder, {recursive: true});
  const made = shopDatabase(folder, Number(gib));
  const work = join(folder, 'continued');
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work);
  const place = {folder: work, database: join(work, 'shop.db')};
  copyDatabase(made, place.database);
  await bkp.prepare(place);
  await bkp.full(place);
  pairs('full', work, rounds);
  changeShop(place.database);
  await bkp.next(place);
  pairs('full and increment', work, rounds);
  rmSync(work, {recursive: true});
}

function pairs(what: string, work: string, rounds: number): void {
  const target = join(work, 'restored.db');
  const once = (notes: 'with' | 'without'): Used => {
    rmSync(target, {force: true});
    const args = [import.meta.filename, join(work, 'cluster'), 'restore', target, notes];
    const {status, stdout, stderr} = spawnSync(process.execPath, args, {encoding: 'utf8'});
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  };
  const ratios: Record<keyof Used, number[]> = {cpuSeconds: [], wallSeconds: []};
  for (let round = 0; round < rounds; round++) {
    const used = {} as Record<'with' | 'without', Used>;
    const order = ['with', 'without'] as const;
    for (const notes of round % 2 === 0 ? order : order.toReversed()) used[notes] = once(notes);
    for (const key of ['cpuSeconds', 'wallSeconds'] as const) {
      ratios[key].push(used.with[key] / used.without[key]);
    }
    console.error(what, JSON.stringify(used));
  }
  for (const [key, values] of Object.entries(ratios)) {
    const each = values.map((value) => value.toFixed(3)).join(', ');
    console.log(`${what}: ${key} with notes, against without: ${median(values).toFixed(3)} (${each})`);
  }
}

async function restore(cluster: string, target: string, takesNotes: boolean): Promise<void> {
  const vault = await openVault({store: await openDirectoryStore({root: cluster, create: false})});
  const source = new SqliteSource(target);
  if (!takesNotes) {
    const stage = source.stage.bind(source);
    source.stage = (schemas, options) => stage(schemas, {...options, plan: undefined});
  }
  const plan = await planRestore(vault, source, {collection: 'shop'});
  const started = performance.now();
  await restoreBackup(
    {
      ...{vault, source, signal: new AbortController().signal},
      ...{nowMicros: () => Date.now() * 1000, notice: () => {}, progress: () => {}},
    },
    {...plan, stagingId: randomBytes(4).toString('hex'), check: 'quick'},
  );
  const wallSeconds = (performance.now() - started) / 1000;
  const {user, system} = process.cpuUsage();
  process.stdout.write(JSON.stringify({wallSeconds, cpuSeconds: (user + system) / 1e6}));
}
