import {existsSync, readdirSync, writeFileSync} from 'node:fs';
import {getPriority, setPriority} from 'node:os';

/**
 * Makes this process, with all its threads and later ones, use less processor time while other programs want it, above
 * all a database server. If the system refuses, the process continues at the priority it has.
 * @param niceness 0 to 19, as of nice(1)
 */
export function runAtLowPriority(niceness: number): void {
  try {
    // Never a higher priority than this process has already.
    const wanted = Math.max(niceness, getPriority());
    // On Linux each thread has a priority of its own, which new threads inherit: setpriority(2).
    for (const thread of [process.pid, ...otherThreads()]) setPriority(thread, wanted);
    // Linux divides processor time among sessions first, and a worker has its own session: sched(7), autogroup.
    const group = '/proc/self/autogroup';
    if (existsSync(group)) writeFileSync(group, String(wanted));
  } catch {
    // A thread has ended meanwhile, or the system does not allow it.
  }
}

function otherThreads(): number[] {
  const folder = '/proc/self/task';
  return existsSync(folder)
    ? readdirSync(folder)
        .map(Number)
        .filter((thread) => thread !== process.pid)
    : [];
}
