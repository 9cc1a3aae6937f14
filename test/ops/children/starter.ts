import {join} from 'node:path';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {openJournal, spawnWorker} from '../../../src/ops/index.ts';
import {newOperation} from '../home.ts';

const [file = '', logsDir = '', what = ''] = process.argv.slice(2);
const journal = openJournal({file, logsDir, nowMicros: () => Date.now() * 1000, processes: systemProcesses});
const operation = await journal.create(newOperation());
const entry = join(import.meta.dirname, 'worker.ts');
const args = [file, logsDir, String(operation.number), what];
await spawnWorker({journal, operation, entry, args, env: process.env});
journal.close();
console.log('started');
