import {Command} from 'commander';
import {type OperationNumber, runOperation, type WorkContext} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {carryOut} from './order.ts';

export type WorkerOptions = {number: OperationNumber};

/** Hidden: what a detached process runs. It says nothing on the terminal; the journal and the log file have it all. */
export function command(deps: Deps, run = runWorker): Command {
  return new Command('worker')
    .description('Carry out one queued operation; bkp starts this by itself.')
    .argument('<number>', 'number of the operation')
    .action((number: string) => run(deps, {number: Number(number) as OperationNumber}));
}

export async function runWorker(deps: Deps, {number}: WorkerOptions): Promise<void> {
  const journal = await deps.journal();
  const work = async (context: WorkContext) => {
    try {
      return await carryOut(deps, context);
    } finally {
      context.log(usage(process.resourceUsage()));
    }
  };
  deps.exitWith(await runOperation({journal, number, work, signals: process, nowMicros: deps.nowMicros}));
}

/** What the work took of the machine; `maxRSS` is in KiB (Node's manual, process.resourceUsage). */
function usage({userCPUTime, systemCPUTime, maxRSS}: NodeJS.ResourceUsage): string {
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return `used ${cpuSeconds.toFixed(2)} s of CPU, at most ${Math.ceil(maxRSS / 1024)} MiB of memory`;
}
