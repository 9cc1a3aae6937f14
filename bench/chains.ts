import {mkdirSync, readdirSync, rmSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {
  cleanUp,
  createCollection,
  planBackup,
  planRestore,
  restoreBackup,
  takeBackup,
} from '../src/collections/index.ts';
import {openSource} from '../src/sources/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {openVault, type Vault} from '../src/vault/index.ts';
import {median} from './measure.ts';
import {bkpCommand, bkpOperation} from './tools.ts';

/**
 * A chain of many small increments: what each one costs, and what a restore of the last one does. Run it with
 * `node bench/chains.ts <folder> [increments] [rows] [keep]`. One process takes the backups; each opens the vault again
 * with the cache file of those before, as workers do. After the 100th and after the last, the command itself takes some
 * more. With `keep`, a cleanup after each hundred backups leaves that many of the newest; without it, none runs.
 */
const [folder, increments = '2000', rows = '100000', keep] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/chains.ts <folder> [increments] [rows] [keep]');
const [total, tableRows] = [Number(increments), Number(rows)];

rmSync(folder, {recursive: true, force: true});
mkdirSync(folder, {recursive: true});
const database = join(folder, 'app.db');
const store = join(folder, 'cluster');
const tools = {
  nowMicros: () => Date.now() * 1000,
  signal: new AbortController().signal,
  progress: () => {},
  notice: () => {},
};

const db = new DatabaseSync(database);
db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, note TEXT, at TEXT);
  CREATE INDEX by_customer ON orders (customer);
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${tableRows})
  INSERT INTO orders SELECT i, i * 7919 % 10007, 'a note of some length for each row ' || i, '2026-11-21' FROM n;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
  INSERT INTO settings SELECT 'setting ' || i, i FROM n;`);
const add = db.prepare('INSERT INTO orders (customer, note, at) VALUES (?, ?, ?)');
const change = db.prepare('UPDATE orders SET customer = customer + 1 WHERE id = ?');

let touched = 0;

/** One new row and one that changed. */
function touch(note: string): void {
  touched++;
  add.run(touched, note, '2026-11-22');
  change.run(((touched * 7919) % tableRows) + 1);
}

async function withVault<T>(use: (vault: Vault) => Promise<T>): Promise<T> {
  const opened = await openVault({
    store: await openDirectoryStore({root: store, create: true}),
    create: true,
    cacheFile: join(folder!, 'cache.db'),
  });
  try {
    return await use(opened);
  } finally {
    opened.close();
  }
}

type Cost = {wallMs: number; cpuMs: number};

async function timed(work: () => Promise<unknown>): Promise<Cost> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  await work();
  const used = process.cpuUsage(cpu);
  return {wallMs: performance.now() - wall, cpuMs: (used.user + used.system) / 1000};
}

/** The newest backup that this process took. */
let latest = '';

const backup = (type: 'full' | 'incremental') =>
  withVault(async (vault) => {
    const source = await openSource({scheme: 'sqlite', path: database});
    const name = await planBackup(vault, source, {collection: 'shop', type, nowMicros: tools.nowMicros()});
    await takeBackup({...tools, vault, source}, {collection: 'shop', type, name, operation: 'bench'});
    latest = name;
  });

const restore = (target: string, backup: string) =>
  withVault(async (vault) => {
    rmSync(target, {force: true});
    const source = await openSource({scheme: 'sqlite', path: target});
    const plan = await planRestore(vault, source, {collection: 'shop', point: backup});
    await restoreBackup({...tools, vault, source}, {...plan, stagingId: 'bench', check: 'quick'});
  });

const clean = () => withVault((vault) => cleanUp({...tools, vault}, 'bench', {collection: 'shop'}));

/** Backups by the command itself: CPU of its worker. The first ones fill the cache of its own. */
const place = {folder, database};
const commandsMeasured = 15;

async function byCommand(label: string): Promise<void> {
  const costs: Cost[] = [];
  for (let n = 1; n <= commandsMeasured; n++) {
    touch(`a row before a command ${n}`);
    const started = await bkpOperation(place, ['sql', '--wait', 'BACKUP shop INCREMENTAL']);
    costs.push({wallMs: started.wallSeconds * 1000, cpuMs: started.cpuSeconds! * 1000});
  }
  print(`command after ${label}`, costs.slice(3));
}

function stored(): {objects: number; bytes: number; manifestBytes: number} {
  const sum = {objects: 0, bytes: 0, manifestBytes: 0};
  for (const entry of readdirSync(store, {recursive: true, withFileTypes: true})) {
    if (!entry.isFile()) continue;
    const {size} = statSync(join(entry.parentPath, entry.name));
    sum.objects++;
    sum.bytes += size;
    if (entry.name === 'manifest') sum.manifestBytes += size;
  }
  return sum;
}

const kib = (bytes: number) => `${(bytes / 1024).toFixed(0)} KiB`;

const print = (label: string, costs: readonly Cost[]) => {
  const {objects, bytes, manifestBytes} = stored();
  const [wall, cpu] = [median(costs.map(({wallMs}) => wallMs)), median(costs.map(({cpuMs}) => cpuMs))];
  const mean = costs.reduce((all, {cpuMs}) => all + cpuMs, 0) / costs.length;
  console.log(
    `${label}: wall ${wall.toFixed(1)} ms, CPU ${cpu.toFixed(1)} ms (mean ${mean.toFixed(1)}); ` +
      `${objects} objects, ${kib(bytes)}, of them manifests ${kib(manifestBytes)}`,
  );
};

await withVault((vault) =>
  createCollection(
    {vault, nowMicros: tools.nowMicros, randomId: () => 'c'.repeat(32)},
    {
      name: 'shop',
      members: {kind: 'database'},
      settings: [
        {key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'},
        ...(keep === undefined ? [] : [{key: 'KEEP_LATEST', value: keep}]),
      ],
      ifNotExists: false,
    },
  ),
);
await bkpCommand(place, ['config', 'set', 'source', `sqlite::path=${database}`]);
print('full', [await timed(() => backup('full'))]);
print('restore of the full', [await timed(() => restore(join(folder, 'first.db'), latest))]);
let costs: Cost[] = [];
const cleanups: Cost[] = [];
for (let n = 1; n <= total; n++) {
  touch(`a new row ${n}`);
  costs.push(await timed(() => backup('incremental')));
  if (keep !== undefined && n % 100 === 0) cleanups.push(await timed(clean));
  if (n % Math.max(1, total / 20) === 0 || n === 100) {
    print(`increment ${n}`, costs.slice(-100));
    costs = costs.slice(-100);
  }
  if (n === 100 || n === total) await byCommand(`increment ${n}`);
}
if (cleanups.length > 0) print('cleanups', cleanups.slice(-10));
const last = latest;
print('a fresh full', [await timed(() => backup('full'))]);
const fresh = latest;
const restores: Record<'last' | 'fresh', Cost[]> = {last: [], fresh: []};
for (let round = 0; round < 5; round++) {
  restores.last.push(await timed(() => restore(join(folder, 'last.db'), last)));
  restores.fresh.push(await timed(() => restore(join(folder, 'fresh.db'), fresh)));
}
print('restore of the last', restores.last);
print('restore of the fresh full', restores.fresh);
db.close();
