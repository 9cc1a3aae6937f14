import {hostname} from 'node:os';

/** A process, told apart from every other one that ever has its number; `boot`: of the machine, `space`: of the container. */
export type HolderProcess = {pid: number; startedAt: string; boot: string; space: string};

/** What can be told of processes from here; handed in, because the journal of operations tells them apart in the same way. */
export type Processes = {
  self(): HolderProcess;
  fateOf(identity: HolderProcess): 'alive' | 'gone' | 'replaced' | 'rebooted' | 'unseen';
};

/** Who holds a checkpoint. */
export type Holder = HolderProcess & {host: string};

/** `unknown`: it runs on another host, or in another container, or nothing is noted of it. */
export type HolderFate = 'alive' | 'dead' | 'unknown';

export function thisHolder(processes: Processes | undefined): Holder | undefined {
  return processes === undefined ? undefined : {host: hostname(), ...processes.self()};
}

/** A boot tells machines apart only on one host: another host's is another one, whether that host runs or not. */
export function fateOf(holder: Holder | undefined, processes: Processes | undefined): HolderFate {
  if (holder === undefined || processes === undefined || holder.host !== hostname() || holder.boot === '')
    return 'unknown';
  const fate = processes.fateOf(holder);
  return fate === 'alive' ? 'alive' : fate === 'unseen' ? 'unknown' : 'dead';
}
