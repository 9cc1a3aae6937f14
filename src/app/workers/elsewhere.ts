import {microsText} from '../../lib/time.ts';
import {type Operation, operationId, silentElsewhereMinutes} from '../../ops/index.ts';

export type Elsewhere = {
  /** Where the worker runs, and when it last reported. */
  detail: string;
  /** How the operation ends if that worker is dead. */
  next: string;
};

/**
 * @param here the name of this host
 * @returns undefined unless a worker on another host carries out the operation: whether that worker lives cannot be
 *   checked from here
 */
export function elsewhere(operation: Operation, here: string): Elsewhere | undefined {
  const {state} = operation;
  if (state.name !== 'running' || state.workerHost === undefined || state.workerHost === here) return undefined;
  const {workerHost, workerPid, heartbeatAtMicros} = state;
  const lastReport = microsText(heartbeatAtMicros);
  return {
    detail: `${operationId(operation)} runs on ${workerHost} (process ${workerPid}), last report ${lastReport}`,
    next:
      `on ${workerHost}, if that worker is dead, bkp operation list ends it immediately; from other hosts it ends ` +
      `${silentElsewhereMinutes} minutes after its last report`,
  };
}
