import {setTimeout as sleep} from 'node:timers/promises';
import {Command} from 'commander';
import {Keeper} from '../../app/keeper/keeper.ts';
import {carryOut} from '../../app/orders/carry-out.ts';
import {cleanAfter} from '../../app/orders/clean-after.ts';
import {type Notifier, notifierOf} from '../../app/workers/notifier.ts';
import {preload} from '../../app/workers/preload.ts';
import {parseWorkerInput, type WorkerInput} from '../../app/workers/worker-input.ts';
import {asPlain, BkpError, renderError} from '../../errors/index.ts';
import {systemProcesses} from '../../lib/processes.ts';
import {
  awaitInput,
  type Operation,
  type OperationNumber,
  openLog,
  runOperation,
  type StartHeartbeat,
  type WorkContext,
} from '../../ops/index.ts';
import {renderOperationLine} from '../../ui/index.ts';
import type {CommandDeps} from '../deps.ts';

export type WorkerOptions = {
  /** Absent: the process that started this one passes it. */
  number?: OperationNumber | undefined;
  /** The file of the log while no operation is known. */
  log?: string | undefined;
  /** The worker is dead and the journal records that: only send the notifications. */
  tellEnd?: boolean;
  /** The same, after this process has ended and its leftovers are removed. */
  cleanUpAfter?: number | undefined;
};

type Given = {log?: string; tellEnd: boolean; cleanUpAfter?: string};

/** Hidden: the command of a detached process. It prints nothing; journal and log file have everything. */
export function command(deps: CommandDeps, run = runWorker): Command {
  return new Command('worker')
    .description('Run one queued operation; bkp starts this automatically.')
    .argument('[number]', 'number of the operation')
    .option('--log <file>', 'wait until file 3 says which operation; without one, remove this file')
    .option('--tell-end', 'it has ended: only send its notifications', false)
    .option('--clean-up-after <pid>', 'it was cancelled: wait for the end of its process, and remove what that left')
    .action((number: string | undefined, {log, tellEnd, cleanUpAfter}: Given) =>
      run(deps, {
        number: number === undefined ? undefined : (Number(number) as OperationNumber),
        log,
        tellEnd,
        cleanUpAfter: cleanUpAfter === undefined ? undefined : Number(cleanUpAfter),
      }),
    );
}

export async function runWorker(deps: CommandDeps, options: WorkerOptions): Promise<void> {
  const {tellEnd, cleanUpAfter} = options;
  const given = await inputOf(deps, options);
  if (given === undefined) return;
  const {number, niceness, slots} = given;
  for (const [vault, slot] of Object.entries(slots)) deps.keyChain?.slots.set(vault, slot);
  const notifier = notifierOf(deps, (operation) => renderOperationLine(operation, 'json'));
  if (cleanUpAfter !== undefined) await untilGone(cleanUpAfter);
  const journal = await deps.journal();
  if (cleanUpAfter !== undefined) await cleanUp(deps, await journal.get(number));
  if (tellEnd || cleanUpAfter !== undefined) return notifyOfEnd(deps, await journal.get(number), notifier);
  let keeper: Keeper | undefined;
  const heartbeat: StartHeartbeat | undefined =
    deps.startKeeper &&
    ((journal, operation, events) => {
      const startThread = () => deps.startKeeper!({number, niceness, home: deps.home, entryFile: deps.entryFile});
      keeper = new Keeper({journal, operation, startThread}, events);
      return keeper;
    });
  const work = async (context: WorkContext) => {
    try {
      return await carryOut(deps, context, keeper);
    } finally {
      context.log(usage(process.resourceUsage()));
    }
  };
  const {nowMicros} = deps;
  const beating = heartbeat === undefined ? {} : {heartbeat};
  deps.exitWith(await runOperation({journal, number, work, signals: process, nowMicros, ...beating, ...notifier}));
}

/** @returns undefined if there is nothing to do */
async function inputOf(deps: CommandDeps, {number, log}: WorkerOptions): Promise<WorkerInput | undefined> {
  if (number !== undefined) return {number, slots: {}};
  if (log === undefined) throw new BkpError('USAGE', 'no operation is named', {next: 'bkp operation list'});
  const input = awaitInput(log, deps.nowMicros() / 1000);
  // If the statement is ready, loading what this operation may not need would only delay it.
  const isLate = await Promise.race([input.then(() => false), sleep(graceMs, true)]);
  // What it really needs fails again, with a place for the error.
  if (isLate)
    deps
      .settings()
      .then(preload)
      .catch(() => {});
  const text = await input;
  if (text === undefined) return undefined;
  const given = parseWorkerInput(text);
  // What ps shows.
  process.title = `bkp worker ${given.number}`;
  return given;
}

/** How long it takes to read what is there. */
const graceMs = 2;

/**
 * The process got a SIGKILL. If it still exists after this time, it is blocked in disk I/O.
 */
const goneWithinMs = 60_000;

async function untilGone(pid: number): Promise<void> {
  const worker = systemProcesses.identify(pid);
  if (worker === undefined) return;
  for (let left = goneWithinMs; left > 0 && systemProcesses.fateOf(worker) === 'alive'; left -= 20) await sleep(20);
}

async function cleanUp(deps: CommandDeps, operation: Operation): Promise<void> {
  const log = openLog(operation.logFile, deps.nowMicros);
  try {
    await cleanAfter(deps, operation);
    log.write('what it left was removed');
  } catch (error) {
    log.write(`what it left could not be removed: ${renderError(asPlain(error))}`);
  } finally {
    log.close();
  }
}

async function notifyOfEnd(deps: CommandDeps, operation: Operation, {ended}: Notifier): Promise<void> {
  const {write, close} = openLog(operation.logFile, deps.nowMicros);
  try {
    await ended({operation, log: write});
  } finally {
    close();
  }
}

/** CPU time and memory used; `maxRSS` is in KiB (Node's manual, process.resourceUsage). */
function usage({userCPUTime, systemCPUTime, maxRSS}: NodeJS.ResourceUsage): string {
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return `used ${cpuSeconds.toFixed(2)} s of CPU, at most ${Math.ceil(maxRSS / 1024)} MiB of memory`;
}
