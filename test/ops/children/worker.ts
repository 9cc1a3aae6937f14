import {existsSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {systemProcesses} from '../../../src/lib/processes.ts';
import {awaitInput, type OperationNumber, openJournal, runOperation, type Work} from '../../../src/ops/index.ts';

const [file = '', logsDir = '', what = '', logFile = ''] = process.argv.slice(2);
console.log(`loaded, with ${what}`);
const number = await awaitInput(logFile, Date.now());
if (number === undefined) process.exit();
const nowMicros = () => Date.now() * 1000;
const journal = openJournal({file, logsDir, nowMicros, processes: systemProcesses});

const works: Record<string, Work> = {
  forever: async ({progress, signal}) => {
    progress({phase: 'Forever', bytesDone: 0, itemsDone: 0});
    await sleep(600_000, undefined, {signal});
    return {};
  },
  /** Longer than the process that starts it: until the test makes a file. */
  'until-released': async ({log}) => {
    console.log('a line on standard output');
    while (existsSync(file) && !existsSync(`${file}.released`)) await sleep(20);
    log(`cwd ${process.cwd()}`);
    return {backup: 'shop/1_full'};
  },
};

process.exitCode = await runOperation({
  journal,
  number: Number(number) as OperationNumber,
  work: works[what]!,
  signals: process,
  nowMicros,
});
journal.close();
