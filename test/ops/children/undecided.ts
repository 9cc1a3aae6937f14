import {join} from 'node:path';
import {WaitingWorker} from '../../../src/ops/index.ts';

// Starts a worker, and is killed before it has an operation for it.
const [logsDir = ''] = process.argv.slice(2);
const entry = join(import.meta.dirname, 'worker.ts');
const worker = await WaitingWorker.start({entry, args: ['', '', ''], env: process.env, cwd: '/', logsDir});
console.log(worker.pid);
setInterval(() => {}, 60_000);
