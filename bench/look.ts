import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {createScratch, loadTables, openBackup, requireTable, segmentsFor} from '../src/collections/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {wrapStore} from '../src/stores/wrap-store.ts';
import {openVault} from '../src/vault/index.ts';

// Reads one row of a backup by its key: node bench/look.ts <cluster> <collection> <table> <key column> <key>
// Prints the seconds of `bkp sql` (its process included), and the bytes that are fetched without any cache.

const rounds = 9;
const [cluster, collection, name, column, key] = process.argv.slice(2) as [string, string, string, string, string];
const bkp = resolve(import.meta.dirname, '../bin/bkp.js');
const folder = mkdtempSync(join(tmpdir(), 'bkp-look-'));

try {
  const statement = `SELECT * FROM backup(\`${collection}\`).\`${name}\` WHERE ${column} = ${key}`;
  const seconds = Array.from({length: rounds}, () => {
    const startedAt = performance.now();
    const args = [bkp, '--home', join(folder, 'home'), '--cluster', cluster, 'sql', '--format', 'json', statement];
    const row = execFileSync(process.execPath, args, {encoding: 'utf8'});
    if (row.split('\n').length !== 2) throw new Error(`not one row: ${row}`);
    return (performance.now() - startedAt) / 1000;
  });
  const [first, ...later] = seconds;
  const median = later.sort((a, b) => a - b)[later.length >> 1]!;
  const fetched = await bytesFetched();
  console.log(
    `first ${first!.toFixed(2)} s, then ${median.toFixed(2)} s, ${(fetched / 2 ** 20).toFixed(2)} MiB fetched`,
  );
} finally {
  rmSync(folder, {recursive: true});
}

/** Of all objects, beginning with the vault's header. */
async function bytesFetched(): Promise<number> {
  let bytes = 0;
  const store = await openDirectoryStore({root: cluster, create: false});
  const get: typeof store.get = async (path, range) => {
    const found = await store.get(path, range);
    bytes += found.byteLength;
    return found;
  };
  const vault = await openVault({store: wrapStore(store, {get}), create: false, compressionLevel: 1});
  const {signal} = new AbortController();
  const opened = await openBackup(vault, {collection, point: undefined});
  const table = requireTable(opened, name);
  const scratch = await createScratch(opened, [table], {path: join(folder, 'scratch.db')});
  const wanted = [{column, operator: '=' as const, values: [{kind: 'integer' as const, value: BigInt(key)}]}];
  const segments = await segmentsFor(opened, {scratch, table, signal}, [wanted]);
  const meter = {bytes: () => {}, item: () => {}, state: () => ({phase: '', bytesDone: 0, itemsDone: 0})};
  await loadTables(opened, {scratch, meter, signal}, [{table, segments}]);
  await scratch.discard();
  vault.close();
  return bytes;
}
