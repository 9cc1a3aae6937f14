import {randomBytes} from 'node:crypto';
import {planRestore, restoreBackup} from '../../../src/collections/index.ts';
import {SqliteSource} from '../../../src/sources/sqlite/index.ts';
import {openDirectoryStore} from '../../../src/stores/index.ts';
import {openVault} from '../../../src/vault/index.ts';

/**
 * killed-collection-restore.ts CLUSTER DATABASE END TABLES [MODE [DRY_RUN]]: restores the newest backup of collection
 * `c`, with a checkpoint every MiB. END is after how many bytes it kills its own process, the phase in which it does,
 * `PHASE N` (at the Nth step of it), `late N` (it is idle for a while first, so that all writes end), `pause N` (it
 * pauses after N bytes), `tell PHASE` (it prints the phase when it begins), or `never`.
 * TABLES are the tables to restore, separated by commas; empty for all. Prints `Merge` when that phase begins, and at
 * the end how many bytes it read from the vault.
 */
const [cluster, database, end, names, mode, dryRun] = process.argv.slice(2) as [
  ...[string, string, string, string],
  ...(['merge' | 'replace', string?] | []),
];
const vault = await openVault({store: await openDirectoryStore({root: cluster, create: false})});
const source = new SqliteSource(database, {checkpointBytes: 1024 * 1024});
const pauseAt = Number(/^pause (\d+)$/.exec(end)?.[1]);
const lateAt = Number(/^late (\d+)$/.exec(end)?.[1]);
let bytes = 0;
let isPaused = false;
const read = vault.read.bind(vault);
vault.read = async function* (...args) {
  for await (const chunk of read(...args)) {
    bytes += chunk.length;
    if (bytes >= Number(end) || bytes >= lateAt) {
      // Lets what is being written go on for a while, as when the kill comes at any time.
      await new Promise((resolve) => setTimeout(resolve, bytes >= lateAt ? 2000 : Number(end) % 20));
      process.kill(process.pid, 'SIGKILL');
    }
    if (bytes >= pauseAt && !isPaused) {
      isPaused = true;
      process.kill(process.pid, 'SIGSTOP');
    }
    yield chunk;
  }
};
const tables = names === '' ? undefined : names.split(',').map((name) => ({name}));
const plan = await planRestore(vault, source, {collection: 'c', tables, mode});
const phases: string[] = [];
let steps = 0;
await restoreBackup(
  {
    vault,
    source,
    nowMicros: () => Date.now() * 1000,
    signal: new AbortController().signal,
    notice: () => {},
    progress: ({phase}) => {
      steps = phases.at(-1) === phase ? steps + 1 : 1;
      if (phases.at(-1) !== phase) phases.push(phase);
      if (phase === 'Merge' || end === `tell ${phase}`) process.stdout.write(`${phase}\n`);
      if (phase === end || `${phase} ${steps}` === end) process.kill(process.pid, 'SIGKILL');
    },
  },
  {...plan, stagingId: randomBytes(4).toString('hex'), check: 'full', dryRun: dryRun !== undefined},
);
process.stdout.write(JSON.stringify({bytes, phases}));
