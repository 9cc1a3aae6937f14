import {existsSync, writeFileSync} from 'node:fs';
import {getPriority, setPriority} from 'node:os';

/**
 * Lets a process that was just started, and all its threads to come, run when the database's server leaves a processor free.
 * Where that cannot be had, it runs like any other.
 * @param niceness 0 to 19, as of nice(1)
 */
export function runAtLowPriority(pid: number, niceness: number): void {
  try {
    // Never more than what whoever started us was given.
    const wanted = Math.max(niceness, getPriority());
    setPriority(pid, wanted);
    // Linux shares processors out among sessions first, and a worker has one of its own: sched(7), autogroup.
    const group = `/proc/${pid}/autogroup`;
    if (existsSync(group)) writeFileSync(group, String(wanted));
  } catch {
    // It has ended already, or the system does not let us.
  }
}
