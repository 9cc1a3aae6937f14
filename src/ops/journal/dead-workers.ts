import {BkpError, unreachable} from '../../errors/index.ts';
import type {Processes} from '../../lib/processes.ts';
import {secondsText} from '../../lib/time.ts';
import {operationId} from '../kinds.ts';
import type {Operation} from '../operation.ts';
import {machineOf, type Row, workerOf} from './row.ts';

/**
 * How long an operation may wait for a worker of which nothing is known. A worker claims within a second, on a very
 * busy machine within ten: too long only keeps its subject busy, too short would end work that is about to start.
 */
const claimWithinMicros = 60e6;
/**
 * How old the heartbeat of a worker in another container may get. Its process cannot be seen, so only the heartbeat
 * shows whether it lives; a paused container or a stalled disk must not look dead too soon.
 */
const silentUnseenMicros = 300e6;
/** The same for a worker of another machine, whose clock may differ by up to ten minutes. */
export const silentElsewhereMinutes = 15;
const silentElsewhereMicros = silentElsewhereMinutes * 60e6;
const aheadAtMostMicros = 24 * 3600e6;

/** @returns why no process works on this open operation any more; undefined while one does, or may soon start */
export function whyDead(row: Row, processes: Processes, nowMicros: number): string | undefined {
  const worker = workerOf(row);
  if (worker === undefined) return whyNeverClaimed(row, processes, nowMicros);
  const name = `its worker, process ${worker.pid},`;
  const lastReport = row.heartbeat_at_micros ?? row.created_at_micros;
  const fate = processes.fateOf(worker);
  switch (fate) {
    case 'alive':
      return undefined;
    case 'gone':
      return `${name} is gone`;
    case 'replaced':
      return `${name} is gone; another program has its number now`;
    case 'rebooted':
      return `${name} ended with a restart of the machine`;
    case 'unseen':
      return isOld(lastReport, nowMicros, silentUnseenMicros)
        ? `${name} runs in another container, and has not reported for minutes`
        : undefined;
    case 'elsewhere': {
      const host = worker.machine === undefined ? 'another host' : `the host ${worker.machine.name}`;
      return isSilent(lastReport, nowMicros)
        ? `${name} runs on ${host}, and has not reported for ${silentElsewhereMinutes} minutes`
        : undefined;
    }
    default:
      return unreachable(fate);
  }
}

function whyNeverClaimed(row: Row, processes: Processes, nowMicros: number): string | undefined {
  const fate = fateOfCreation(row, processes);
  if (fate === 'rebooted') return 'the machine was restarted before a worker took it up';
  const isLate =
    fate === 'elsewhere'
      ? isSilent(row.created_at_micros, nowMicros)
      : isOld(row.created_at_micros, nowMicros, claimWithinMicros);
  return isLate ? 'no worker has taken it up in time' : undefined;
}

/** Only boot and machine of the process that created the operation count: it may have ended since. */
function fateOfCreation(row: Row, processes: Processes): ReturnType<Processes['fateOf']> {
  return processes.fateOf({...processes.self(), boot: row.created_in, machine: machineOf(row.created_on)});
}

/** A time as far in the future means that the clock was set back: it counts as old too, or it would stay for ever. */
function isOld(atMicros: number, nowMicros: number, limitMicros: number): boolean {
  return Math.abs(nowMicros - atMicros) > limitMicros;
}

/**
 * Of another machine, a time in the future only means that its clock is ahead, by a wrong time zone at most. Years
 * would keep the operation open for as long.
 */
function isSilent(atMicros: number, nowMicros: number): boolean {
  return nowMicros - atMicros > silentElsewhereMicros || atMicros - nowMicros > aheadAtMostMicros;
}

export function deadWorkerError(operation: Operation, why: string): BkpError {
  const id = operationId(operation);
  const {state} = operation;
  const lastReport = state.name === 'running' ? `; its last report was at ${secondsText(state.heartbeatAtMicros)}` : '';
  return new BkpError('WORKER_DEAD', `${id} was interrupted: ${why}${lastReport}`, {
    next: `bkp operation get ${id} --log may show why; then give the statement again`,
    context: {operation: id},
  });
}
