import {join} from 'node:path';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {openJournal, spawnWorker, WaitingWorker} from '../../../src/ops/index.ts';
import {newOperation} from '../home.ts';

const [file = '', logsDir = '', what = ''] = process.argv.slice(2);
const journal = openJournal({file, logsDir, nowMicros: () => Date.now() * 1000, processes: systemProcesses});
const operation = await journal.create(newOperation());
const entry = join(import.meta.dirname, 'worker.ts');
const options = {entry, args: [file, logsDir, what], env: process.env, cwd: '/', logsDir};
await spawnWorker({
  journal,
  operation,
  worker: () => WaitingWorker.start(options),
  input: String(operation.number),
});
journal.close();
console.log('started');
