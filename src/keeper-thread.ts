// The thread of a worker's Keeper; started by its path.
import {parentPort, workerData} from 'node:worker_threads';

// Imported dynamically, like in main.ts, so that the bundler does not put shared code into this file.
const {keep} = await import('./app/workers/keeping.ts');
await keep(parentPort!, workerData, {
  nowMicros: () => Date.now() * 1000,
  env: process.env,
  openDeps: async () => {
    const {openRealDeps} = await import('./compose.ts');
    return openRealDeps(workerData.flags, () => {});
  },
});
