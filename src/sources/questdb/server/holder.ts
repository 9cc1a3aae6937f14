import {hostname} from 'node:os';
import type {ProcessIdentity, Processes as SystemProcesses} from '../../../lib/processes.ts';

/** A process, as the note in the server's root records it. */
export type HolderProcess = Pick<ProcessIdentity, 'pid' | 'startedAt' | 'boot' | 'space'>;

/** Handed in, so that tests can simulate other processes. */
export type Processes = Pick<SystemProcesses, 'self' | 'fateOf'>;

/** The process that holds a checkpoint. */
export type Holder = HolderProcess & {host: string};

/** `unknown`: the process is on another host or in another container, or the note does not name it. */
export type HolderFate = 'alive' | 'dead' | 'unknown';

export function thisHolder(processes: Processes | undefined): Holder | undefined {
  if (processes === undefined) return undefined;
  const {pid, startedAt, boot, space} = processes.self();
  return {host: hostname(), pid, startedAt, boot, space};
}

/**
 * Boot ids are only compared on the same host: another host always has another boot id, whether its process runs or
 * not.
 */
export function fateOf(holder: Holder | undefined, processes: Processes | undefined): HolderFate {
  if (holder === undefined || processes === undefined || holder.host !== hostname() || holder.boot === '')
    return 'unknown';
  const fate = processes.fateOf(holder);
  return fate === 'alive' ? 'alive' : fate === 'unseen' || fate === 'elsewhere' ? 'unknown' : 'dead';
}
