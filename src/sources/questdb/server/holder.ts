import {hostname} from 'node:os';
import type {ProcessIdentity, Processes as SystemProcesses} from '../../../lib/processes.ts';

/** As the note in the server's root records a process. */
export type HolderProcess = Pick<ProcessIdentity, 'pid' | 'startedAt' | 'boot' | 'space'>;

/** Handed in, so that tests can pretend other processes. */
export type Processes = Pick<SystemProcesses, 'self' | 'fateOf'>;

/** Who holds a checkpoint. */
export type Holder = HolderProcess & {host: string};

/** `unknown`: it runs on another host, or in another container, or nothing is noted of it. */
export type HolderFate = 'alive' | 'dead' | 'unknown';

export function thisHolder(processes: Processes | undefined): Holder | undefined {
  if (processes === undefined) return undefined;
  const {pid, startedAt, boot, space} = processes.self();
  return {host: hostname(), pid, startedAt, boot, space};
}

/** A boot tells machines apart only on one host: another host's is another one, whether that host runs or not. */
export function fateOf(holder: Holder | undefined, processes: Processes | undefined): HolderFate {
  if (holder === undefined || processes === undefined || holder.host !== hostname() || holder.boot === '')
    return 'unknown';
  const fate = processes.fateOf(holder);
  return fate === 'alive' ? 'alive' : fate === 'unseen' || fate === 'elsewhere' ? 'unknown' : 'dead';
}
