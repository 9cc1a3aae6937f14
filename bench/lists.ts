import {join} from 'node:path';
import {collectionStandings, listBackups, listCollections, planRetention} from '../src/collections/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {openVault, type Vault} from '../src/vault/index.ts';
import {median} from './measure.ts';

/**
 * What lists of many backups cost: `node bench/lists.ts <folder>`, with the folder of a run of bench/chains.ts. Each
 * figure is the median of three, each with a vault that was just opened.
 */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/lists.ts <folder of bench/chains.ts>');

async function withVault<T>(use: (vault: Vault) => Promise<T>): Promise<T> {
  const opened = await openVault({
    store: await openDirectoryStore({root: join(folder!, 'cluster'), create: false}),
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
