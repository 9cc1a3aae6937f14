import {BkpError, unreachable} from '../errors/index.ts';
import {operationId} from './kinds.ts';
import type {Operation} from './operation.ts';
import type {Processes} from './processes.ts';
import {type Row, workerOf} from './row.ts';

/**
 * How long an operation may wait for a worker of which nothing is known. A worker claims within a second, on a very
 * busy machine within ten: too long only keeps its subject busy, too short would end work that is about to start.
 */
const claimWithinMicros = 60e6;
/**
 * How old the heartbeat of a worker in another container may get. Such a worker cannot be seen, so this is all there is
 * to go by; a paused container or a stalled disk must not look dead too soon.
 */
const unseenWithinMicros = 300e6;

/** @returns why nobody works on this open operation any more; absent while somebody does, or soon may */
export function whyDead(row: Row, processes: Processes, nowMicros: number): string | undefined {
  const worker = workerOf(row);
  if (worker === undefined) {
    if (row.created_in !== processes.self().boot) return 'the machine was restarted before a worker took it up';
    return isOld(row.created_at_micros, nowMicros, claimWithinMicros) ? 'no worker has taken it up in time' : undefined;
  }
  const name = `its worker, process ${worker.pid},`;
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
    case 'unseen': {
      const lastSeen = row.heartbeat_at_micros ?? row.created_at_micros;
      if (!isOld(lastSeen, nowMicros, unseenWithinMicros)) return undefined;
      return `${name} runs in another container, and has given no sign for minutes`;
    }
    default:
      return unreachable(fate);
  }
}

/** A time that lies as far in the future says that the clock was set back: it counts as old too, or it would stay for ever. */
function isOld(atMicros: number, nowMicros: number, limitMicros: number): boolean {
  return Math.abs(nowMicros - atMicros) > limitMicros;
}

export function deadWorkerError(operation: Operation, why: string): BkpError {
  const id = operationId(operation);
  const {state} = operation;
  const sign = state.name === 'running' ? `; its last sign was at ${isoSeconds(state.heartbeatAtMicros)}` : '';
  return new BkpError('WORKER_DEAD', `${id} was broken off: ${why}${sign}`, {
    next: `bkp operation get ${id} --log may tell why; then give the statement again`,
    context: {operation: id},
  });
}

/** @returns `2026-11-21T12:00:00Z` */
export function isoSeconds(micros: number): string {
  return `${new Date(micros / 1000).toISOString().slice(0, 19)}Z`;
}
