import {Command} from 'commander';
import {type Operation, type OperationNumber, openLog, runOperation, type WorkContext} from '../../ops/index.ts';
import type {Deps} from '../deps.ts';
import {type Notifier, notifierOf} from './notifier.ts';
import {carryOut} from './order.ts';

export type WorkerOptions = {
  number: OperationNumber;
  /** Its worker is dead, and the journal says so: only tell those who want to hear of it. */
  tellEnd?: boolean;
};

/** Hidden: what a detached process runs. It says nothing on the terminal; the journal and the log file have it all. */
export function command(deps: Deps, run = runWorker): Command {
  return new Command('worker')
    .description('Carry out one queued operation; bkp starts this by itself.')
    .argument('<number>', 'number of the operation')
    .option('--tell-end', 'it has ended: only send its notifications', false)
    .action((number: string, {tellEnd}: {tellEnd: boolean}) =>
      run(deps, {number: Number(number) as OperationNumber, tellEnd}),
    );
}

export async function runWorker(deps: Deps, {number, tellEnd}: WorkerOptions): Promise<void> {
  const journal = await deps.journal();
  const notifier = notifierOf(deps);
  if (tellEnd) return tellOfEnded(deps, journal.get(number), notifier);
  const work = async (context: WorkContext) => {
    try {
      return await carryOut(deps, context);
    } finally {
      context.log(usage(process.resourceUsage()));
    }
  };
  const {nowMicros} = deps;
  deps.exitWith(await runOperation({journal, number, work, signals: process, nowMicros, ...notifier}));
}

async function tellOfEnded(deps: Deps, operation: Operation, {ended}: Notifier): Promise<void> {
  const {write, close} = openLog(operation.logFile, deps.nowMicros);
  try {
    await ended({operation, log: write});
  } finally {
    close();
  }
}

/** What the work took of the machine; `maxRSS` is in KiB (Node's manual, process.resourceUsage). */
function usage({userCPUTime, systemCPUTime, maxRSS}: NodeJS.ResourceUsage): string {
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return `used ${cpuSeconds.toFixed(2)} s of CPU, at most ${Math.ceil(maxRSS / 1024)} MiB of memory`;
}
