import {BkpError} from '../../../src/errors/index.ts';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {type OperationNumber, openJournal} from '../../../src/ops/index.ts';
import {newOperation} from '../home.ts';

const [file = '', logsDir = '', action, rounds, startAtMs] = process.argv.slice(2);
while (Date.now() < Number(startAtMs));

const journal = openJournal({file, logsDir, nowMicros: () => Date.now() * 1000, processes: systemProcesses});
const won: number[] = [];
for (let round = 1; round <= Number(rounds); round++) {
  const number = round as OperationNumber;
  if (action === 'claim' && (await journal.claim(number)) !== undefined) won.push(number);
  if (action === 'reap') won.push(...(await journal.reap()).map((operation) => operation.number));
  if (action === 'create-shared') won.push((await journal.create(newOperation({shared: true}))).number);
  if (action === 'create') {
    try {
      won.push((await journal.create(newOperation({subject: {kind: 'collection', name: String(round)}}))).number);
    } catch (error) {
      if (!(error instanceof BkpError && error.code === 'BUSY')) throw error;
    }
  }
}
journal.close();
console.log(JSON.stringify(won));
