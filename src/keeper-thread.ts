// The thread of a worker's Keeper; started by its path.
import {parentPort, workerData} from 'node:worker_threads';

// As in main.ts: what it loads is then in files of its own, and not in this one, which does more than to be loaded.
const {keep} = await import('./app/workers/keeping.ts');
await keep(parentPort!, workerData, async () => {
  const {openRealDeps} = await import('./compose.ts');
  return openRealDeps(workerData.flags, () => {});
});
