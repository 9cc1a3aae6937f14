import {join} from 'node:path';
import {collectionStandings, listBackups, listCollections, planRetention} from '../src/collections/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {readManifest, sealManifest} from '../src/vault/format/manifest.ts';
import {openVault, type Vault} from '../src/vault/index.ts';
import {median} from './measure.ts';

/**
 * What lists of many backups cost: `node bench/lists.ts <folder> [backups]`, with the folder of a run of
 * bench/chains.ts. With fewer backups than were asked for, it first adds copies of the last manifests under later
 * times, which takes a minute instead of the ten of real increments. Each figure is the median of three, each with a
 * vault that was just opened.
 */
const [folder, wanted = '0'] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/lists.ts <folder of bench/chains.ts> [backups]');

const openStore = () => openDirectoryStore({root: join(folder!, 'cluster'), create: false});

/** A manifest is copied this many backups later, so that each differs from the one before as a real one does. */
const period = 250;

async function addCopies(count: number): Promise<void> {
  const store = await openStore();
  const keys: string[] = [];
  for await (const {key} of store.list('.backups/collections/shop/')) if (key.endsWith('/manifest')) keys.push(key);
  const copied = keys.filter((key) => key.includes('_incremental/')).slice(-period);
  for (let n = keys.length; n < count; n++) {
    const {body, ...manifest} = await readManifest(store, copied[n % copied.length]!);
    const takenAt = new Date(Date.parse('2100-01-01T00:00:00Z') + n * 1000).toISOString();
    const backup = `${takenAt.slice(0, 19).replaceAll(/[-:T]/g, '')}Z_incremental`;
    const later = {...(body as object), backup, takenAt};
    await store.put(`.backups/collections/shop/${backup}/manifest`, await sealManifest({...manifest, body: later}));
  }
}

async function withVault<T>(use: (vault: Vault) => Promise<T>): Promise<T> {
  const opened = await openVault({
    store: await openStore(),
    create: false,
    cacheFile: join(folder!, 'cache.db'),
  });
  try {
    return await use(opened);
  } finally {
    opened.close();
  }
}

const lists: Record<string, (vault: Vault) => Promise<unknown>> = {
  'SHOW BACKUPS': (vault) => listBackups(vault, 'shop'),
  'SHOW BACKUP COLLECTIONS': listCollections,
  'metrics and doctor': collectionStandings,
  'retention plan': (vault) => planRetention(vault, 'shop', {nowMs: Date.now()}),
};

await addCopies(Number(wanted));
await withVault(async (vault) => {
  console.log(`${(await listBackups(vault, 'shop')).length} backups`);
});
for (const [name, list] of Object.entries(lists)) {
  const cpuMs: number[] = [];
  for (let round = 0; round < 3; round++) {
    await withVault(async (vault) => {
      const before = process.cpuUsage();
      await list(vault);
      const {user, system} = process.cpuUsage(before);
      cpuMs.push((user + system) / 1000);
    });
  }
  console.log(`${name}: CPU ${median(cpuMs).toFixed(0)} ms`);
}
